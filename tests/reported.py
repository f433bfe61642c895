"""Results and reports of tiny clips without the workflow, for tests of measurements, page and player.

`python tests/reported.py FOLDER` writes a report with two edits. It runs in the report stage's environment.
"""

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

import clips
from clevam import images, measure, page, preview, summary, video
from clevam.files import read_json, seal, write_json
from clevam.orientation import upright, upright_size

EVERY, RIM = 6, 2  # frames between keyframes, pixels of the soft edge
WORDS = "the square → <b>a green one</b><script>document.title = 'run'</script>"
LIMITS = {
    "background_psnr": 30.0, "background_ssim": None, "exactness": 1.0, "warp_error_inside": 10.0, "warp_ssim": None,
    "confidence": 0.1, "mask_iou": 0.5,
}  # fmt: skip


def index_of(path: Path, count: int) -> dict:
    """What index.json says of a clip of one shot."""
    facts, names = video.probe(path), sorted({*range(0, count, EVERY), count - 1})
    return {
        "stream": facts | {"upright": list(upright_size(facts))},
        "pts": [frame.pts for frame in clips.decode(path)],
        "shots": [[0, count - 1]],
        "segments": [[0, count - 1]],
        "keyframes": [f"{i:06d}" for i in names],
        "damage": None,
    }


def measured(
    folder: Path, source: Sequence[np.ndarray], result: Sequence[np.ndarray], masks: Sequence[np.ndarray],
    job: str = "ball", pts: Sequence[int] | None = None, segments: list | None = None, **options: object,
) -> dict:  # fmt: skip
    """measured.json of a result, RGB pictures [H, W, 3], of a clip with A at `masks`, bool [H, W]; without loss.

    pts: of the result's frames; segments: the range, as in index.json; options: of clips.write_clip, for both clips.
    Masks and keyframes stand upright.
    """
    for name in ("out", "masks", f"edited/{job}", "work/report"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    clip = clips.write_clip(folder / "clip.mp4", source, qp="0", g="12", **options)
    file = clips.write_clip(folder / f"out/{job}.mp4", result, pts=pts, qp="0", g="12", **options)
    index = index_of(clip, len(source))
    index["segments"] = segments or index["segments"]
    facts, size = index["stream"], tuple(index["stream"]["upright"])
    for i, mask in enumerate(masks):
        images.write_labels(folder / f"masks/{i:06d}.png", np.uint8(upright(np.uint8(mask), facts) > 0), 1)
    seal(folder / "masks")
    for name in index["keyframes"]:
        edited = result[min(int(name), len(result) - 1)]
        images.write_png(folder / f"edited/{job}/{name}.png", upright(edited, facts))
        images.write_png(folder / f"edited/source_{name}.png", upright(source[int(name)], facts))
    measure.measure(
        str(clip),
        str(file),
        str(folder / f"work/report/{job}"),
        index=index,
        masks=measure.Masks({}, {"0000": str(folder / "masks")}, 1000, 1, size),
        sureness=measure.Sureness([], {}, 1000, size),
        rim=RIM,
        keyframes={name: str(folder / f"edited/source_{name}.png") for name in index["keyframes"]},
        edited={name: str(folder / f"edited/{job}/{name}.png") for name in index["keyframes"]},
    )
    return read_json(folder / f"work/report/{job}/measured.json")


def painted(
    source: Sequence[np.ndarray], masks: Sequence[np.ndarray], colour: tuple[int, int, int]
) -> list[np.ndarray]:
    """The pictures with A in one colour."""
    return [np.where(mask[..., None], np.uint8(colour), picture) for picture, mask in zip(source, masks, strict=True)]


def squares(count: int, size: tuple[int, int] = (96, 64)) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """A white square that moves to the right, and where it is."""
    pictures = clips.moving_square(count, size, side=20)
    return pictures, [(picture == 255).all(-1) for picture in pictures]


def report(folder: Path, words: Mapping[str, str], video_name: str = "ball", seen: str | None = None) -> Path:
    """The page of the clip in a folder, for measured jobs {name: words}; relative paths count from there.

    seen: what networks made of them all, as perceive.perceive writes it.
    """
    os.chdir(folder)
    count = len(clips.decode(folder / "clip.mp4"))
    index = index_of(folder / "clip.mp4", count)
    region = {"find": "the white square", "label": 1, "words": True}
    entry = {"alarms": [], "chosen": [0], "best": 0.5}
    masks = {
        "threshold": 0.3,
        "regions": [region],
        "keyframes": {name: [entry | {"alarms": ["jump"] * (name == "000012")}] for name in index["keyframes"]},
    }
    plan = {"reference": "000006", "crops": {"000000": {"box": [0, 0, 40, 40]}}}
    job = {"find": video_name, "lossless": True, "plan": plan, "masks": masks}
    config = {"clips": {video_name: {"path": "clip.mp4"}}, "finds": {video_name: {}}, "jobs": dict.fromkeys(words, {})}
    target, told = folder / "report" / video_name / "index.html", folder / "report" / video_name / "metrics.json"
    page.write(
        str(target),
        str(told),
        video=video_name,
        index=index,
        config=config | {"models": {"diffusion": "demo/models/diffusion"}, "runtime": {}},
        edits={
            name: job | {"words": said, "file": f"out/{name}.mp4", "folder": f"work/report/{name}", "perceived": seen}
            for name, said in words.items()
        },
        limits=LIMITS,
        models={"diffusion": "0123456789ab"},
        versions={"report": {"jinja2": "3"}},
    )
    summary.write([str(told)], str(folder / "report/summary.html"), str(folder / "report/summary.tsv"))
    return target


def previewed(
    folder: Path, words: str, tried: Mapping[str, dict], given: str | None = None, name: str = "ball"
) -> Path:
    """The preview of the clip in a folder that was measured: what was tried, {name: keys}, is all one picture."""
    names = index_of(folder / "clip.mp4", len(clips.decode(folder / "clip.mp4")))["keyframes"]
    for way in tried:
        edited = images.read_rgb(folder / f"edited/{name}/000006.png")
        images.write_png(folder / f"work/preview/{name}/{way}.png", edited)
    masks = {"threshold": 0.3, "regions": [{"find": words, "label": 1, "words": True}], "keyframes": {}}
    edit = {"words": words, "find": "ball", "regions": 1, "reference": "000006", "crop": {"box": [-8, 0, 64, 64]}}
    target = folder / "report/ball/preview.html"
    preview.write(
        str(target),
        video="ball",
        keyframes={name: str(folder / f"edited/source_{name}.png") for name in names},
        finds={"ball": {"told": masks, "masks": {name: str(folder / f"masks/{name}.png") for name in names}}},
        edits={name: edit | {"given": given, "tried": tried, "folder": str(folder / f"work/preview/{name}")}},
        steps=5,
    )
    return target


def main(folder: Path) -> None:
    """60 frames, two edits: a green square, and one that turns red for a moment in frame 30; and a preview."""
    source, masks = squares(60, (192, 128))
    green = painted(source, masks, (20, 160, 60))
    blink = [*green]
    blink[30:31] = painted(source[30:31], masks[30:31], (255, 0, 0))
    measured(folder, source, green, masks, "ball")
    measured(folder, source, blink, masks, "ball.blink")
    write_json(folder / "out/config.json", {})
    report(folder, {"ball": WORDS, "ball.blink": "the square → one that blinks"})
    previewed(folder, "<b>the square</b> " * 9, {"own": {}} | {str(seed): {"seed": seed} for seed in range(1, 5)})


if __name__ == "__main__":
    main(Path(sys.argv[1]))
