"""docs/demo.png and docs/demo.webp: frames of the bundled clip, where A was found, and its edit; and both as one film.

`make demo-pictures` draws them from what `make demo` made. In each it is written what the demo was made from, so that a
test can tell when they are out of date.
"""

import hashlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import yaml
from PIL import Image, ImageOps

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "scripts"))

from clevam import weights  # noqa: E402
from clevam.files import read_json, replacing  # noqa: E402

FRAMES = (0, 30, 54, 90)
EVERY, SIZE = 2, (480, 270)  # of the film: which frames, pixels
DESCRIPTION = 0x010E  # of EXIF: ImageDescription
PICTURES = ("docs/demo.png", "docs/demo.webp")


def main(results: Path) -> None:
    """Draw both from the folder in which the demo was made."""
    ((name, video),) = configured()["videos"].items()
    before, after = (list(frames(path)) for path in (ROOT / video["path"], results / f"out/{name}.mp4"))
    masks = [marked(before[i], results / mask_of(results, name, i)) for i in FRAMES]
    rows = [[before[i] for i in FRAMES], masks, [after[i] for i in FRAMES]]
    strip = np.vstack([np.hstack([picture[::2, ::2] for picture in row]) for row in rows])
    exif = Image.Exif()
    exif[DESCRIPTION] = made_from()
    png, webp = (ROOT / path for path in PICTURES)
    with replacing(png) as part:
        Image.fromarray(strip).quantize(256).save(part, optimize=True, exif=exif)
    first, *others = film(before[::EVERY], after[::EVERY])
    with replacing(webp) as part:
        options = {"duration": 40 * EVERY, "loop": 0, "quality": 60, "method": 6, "exif": exif}
        first.save(part, save_all=True, append_images=others, **options)


def configured() -> dict:
    """The demo's configuration."""
    return yaml.safe_load((ROOT / "config/config.yaml").read_text())


def made_from() -> str:
    """A digest of all that the pictures follow from: the configuration, the clip, the models, and this file."""
    config = configured()
    named = [config["videos"][name]["path"] for name in config["videos"]] + sorted(paths(config["models"]))
    told = [config, [weights.fingerprint(ROOT / path) for path in [*named, "demo/picture.py"]]]
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()


def paths(models: dict) -> Iterator[str]:
    """All that a section names, deeper ones too."""
    for value in models.values():
        yield from paths(value) if isinstance(value, dict) else [value]


def frames(path: Path) -> Iterator[np.ndarray]:
    """The frames of a video as uint8 RGB [H, W, 3]."""
    with av.open(str(path)) as container:
        yield from (frame.to_ndarray(format="rgb24") for frame in container.decode(video=0))


def mask_of(results: Path, find: str, i: int) -> str:
    """Where the mask of a frame lies."""
    index, name = read_json(results / f"keyframes/{find}/index.json"), f"{i:06d}"
    if name in index["keyframes"]:
        return f"masks/{find}/{name}.png"
    return next(
        f"masks_frames/{find}/{block}/{name}.png" for block in reversed(index["blocks"]) if int(block) * 48 <= i
    )


def marked(picture: np.ndarray, mask: Path) -> np.ndarray:
    """The picture, dark where A is not."""
    inside = np.asarray(Image.open(mask)) > 0
    return np.where(inside[..., None], picture, picture // 4)


def film(before: list[np.ndarray], after: list[np.ndarray]) -> Iterator[Image.Image]:
    """Both under a divider that goes to and fro twice: source on its left, edit on its right."""
    for n, pair in enumerate(zip(before, after, strict=True)):
        source, edit = (ImageOps.fit(Image.fromarray(picture), SIZE) for picture in pair)
        at = round(SIZE[0] * (0.4 - 0.36 * np.cos(4 * np.pi * n / len(before))))
        edit.paste(source.crop((0, 0, at, SIZE[1])))
        edit.paste("white", (at - 1, 0, at + 1, SIZE[1]))
        yield edit


if __name__ == "__main__":
    main(Path(sys.argv[1]))
