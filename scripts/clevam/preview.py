"""The page of a preview: where A is, and the reference as one seed and another paint it."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from clevam import doubts, html, images, proxies
from clevam.geometry import cut

SIDE, THUMB = 480, 200  # pixels of the longer side: of a crop, of a keyframe
MOST = 24  # keyframes that are shown


def write(
    target: str, *, video: str, keyframes: Mapping[str, str], finds: Mapping[str, dict], edits: Mapping[str, dict],
    steps: int | None,
) -> None:  # fmt: skip
    """Write the page `target` of a clip.

    keyframes: {name: path}; finds: of each {"told" (masks.json), "masks" ({name: path})}; edits: of each job {"words",
    "find", "regions" (their number), "reference" (a keyframe), "crop" (of plan.json), "given" (the user's picture of it
    or None), "tried" ({name: the keys of `edit` to set}), "folder" (of edit.tried)}; steps: what they were painted
    with, if not with those of the configuration.
    """
    shown = []
    for job, edit in edits.items():
        mask = finds[edit["find"]]["masks"][edit["reference"]]
        shown.append(_edit(job, edit, video, keyframes[edit["reference"]], mask))
    told = []
    for name, find in finds.items():
        edit = next(edit for edit in edits.values() if edit["find"] == name)
        told.append(_find(name, find, keyframes, edit["reference"], edit["regions"]))
    html.write(target, "preview", video=video, steps=steps, finds=told, edits=shown)


def _find(name: str, find: Mapping[str, Any], keyframes: Mapping[str, str], reference: str, regions: int) -> dict:
    """The keyframes with A marked in them, or some of many."""
    frames = list(keyframes)
    chosen = {frames[n] for n in np.linspace(0, len(frames) - 1, MOST).round().astype(int)} | {reference}
    return {
        "words": ", ".join(region["find"] for region in find["told"]["regions"] if region["label"]),
        "doubts": doubts.doubts(find["told"], name),
        "left_out": len(frames) - len(chosen),
        "keyframes": [
            {
                "frame": int(frame),
                "reference": frame == reference,
                "picture": _picture(marked(keyframes[frame], find["masks"][frame], regions), THUMB),
            }
            for frame in sorted(chosen)
        ],
    }


def _edit(job: str, edit: Mapping[str, Any], video: str, keyframe: str, mask: str) -> dict:
    """Source, mask and all that was tried, cut out around A."""
    box = edit["crop"]["box"]
    return {
        "name": job,
        "words": edit["words"],
        "place": "videos." + (video if job == video else f"{video}.edits.{job.removeprefix(video + '.')}"),
        "frame": int(edit["reference"]),
        "given": edit["given"],
        "source": _picture(cut(images.read_rgb(keyframe), box)),
        "mask": _picture(cut(marked(keyframe, mask, edit["regions"]), box)),
        "tried": [
            {"line": line(keys), "picture": _picture(cut(images.read_rgb(f"{edit['folder']}/{name}.png"), box))}
            for name, keys in edit["tried"].items()
        ],
    }


def line(keys: Mapping[str, Any]) -> str:
    """What to write into the configuration, as YAML on one line; nothing where it is so already."""
    return "edit: {" + ", ".join(f"{key}: {value}" for key, value in keys.items()) + "}" if keys else ""


def marked(keyframe: str, mask: str, regions: int) -> np.ndarray:
    """A keyframe, uint8 RGB [H, W, 3], dark where A is not, with the edges of the regions in their colours."""
    picture, labels = images.read_rgb(keyframe), images.read_labels(mask, regions)
    shown = np.where(labels[..., None] > 0, picture, picture // 3)
    return np.maximum(shown, proxies.region_colours(labels))


def _picture(picture: np.ndarray, side: int = SIDE) -> str:
    return html.jpeg(proxies.jpeg(np.ascontiguousarray(picture), side))
