"""Pictures of B for the diffusion model to look at: only B, on white."""

from collections.abc import Sequence

import numpy as np
from PIL import Image
from tqdm import tqdm

from clevam import images
from clevam.errors import UserError
from clevam.files import replacing

MARGIN = 0.1  # of white around B, as a share of its longer side


def cut_out(
    paths: Sequence[str], target: str, *, names: Sequence[str], phrases: Sequence[str | None], threshold: float | None,
    models: list[str], device: str,
) -> None:  # fmt: skip
    """Write pictures into the folder `target` under `names`: of each what its phrase names, on a white square.

    Where a picture has transparency, that tells; without a phrase it stays as it is. models, device: finder.Finder's.
    Raises UserError where the best box scores less than `threshold`.
    """
    find = None
    with replacing(target) as folder:
        folder.mkdir()
        for path, name, phrase in zip(tqdm(paths, desc="subjects", unit="picture"), names, phrases, strict=True):
            pixels, shape = images.read_rgb(path), images.read_alpha(path)
            if shape is None and phrase is not None:
                if find is None:
                    from clevam.finder import Finder  # loads for seconds, and many a picture is cut out already

                    find = Finder(models, device)
                found = find(pixels, [phrase])
                best = found.scores.argmax()
                if found.scores[best] < threshold:
                    raise UserError(
                        f"{path}: {phrase!r} is not in it (best score {found.scores[best]:.2f}, masks.threshold "
                        f"{threshold:g}): give another picture, or say `cutout: false` to show all of it"
                    )
                shape = found.masks[best]
            if shape is not None and not shape.any():
                raise UserError(f"{path}: all of it is transparent; give another picture")
            images.write_png(folder / name, pixels if shape is None else on_white(pixels, shape))


def on_white(pixels: np.ndarray, shape: np.ndarray) -> np.ndarray:
    """What is in a shape, 0..1 [H, W], of a picture, uint8 RGB [H, W, 3], in the middle of a white square."""
    rows, columns = (np.flatnonzero(shape.max(axis=axis) > 0) for axis in (1, 0))
    window = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    shown = 255 + shape[window][..., None] * (pixels[window].astype(float) - 255)
    height, width = shown.shape[:2]
    side = round(max(height, width) * (1 + 2 * MARGIN))
    square = Image.new("RGB", (side, side), "white")
    square.paste(Image.fromarray(np.rint(shown).astype(np.uint8)), ((side - width) // 2, (side - height) // 2))
    return np.asarray(square)
