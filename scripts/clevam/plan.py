"""What all keyframes of a clip share: the reference, and the crop around A at one scale per shot."""

from itertools import pairwise
from math import ceil

import cv2
import numpy as np

from clevam import images
from clevam.errors import UserError
from clevam.files import write_json
from clevam.geometry import Box, bounding, centred, cut, grow, union

SIDE = 32  # pixels of a silhouette
SMALLEST_CROP = 32  # pixels; below, there is nothing for the model to see


def write(
    masks: dict[str, str],
    target: str,
    *,
    index: dict,
    regions: int,
    reference: str | int,
    margin: float,
    flow_margin: float,
    rim: int,
    size: int,
    multiple: int,
) -> None:
    """Write plan.json from the keyframes' masks ({name: path}).

    It holds `regions`, their number; `reference`, the keyframe that is edited first; `crops`, {name: {"box", "work"}}
    for every keyframe with A in it, where `box` is cut out and brought to `work` [width, height] pixels (short side
    `size`, both multiples of `multiple`, one scale for all of a segment); and `motion`, [keyframes, frames, box] for
    every gap, frames [first, last] beside keyframes: both neighbours, or the one before where a segment goes on
    after its last; the box in which flow is measured, or null where neither has A.
    margin, flow_margin: shares of A's size; rim: pixels of the mask's feather, which the crop always has room for.
    """
    frame = tuple(index["stream"]["upright"])
    boxes, shapes, crops, motion = {}, {}, {}, []
    for name, path in masks.items():
        inside = images.read_labels(path, regions, frame) > 0
        boxes[name] = bounding(inside)
        if boxes[name] and reference == "medoid":
            shapes[name] = shape(inside, boxes[name])
    for first, last in index["segments"]:
        names = [n for n in index["keyframes"] if first <= int(n) <= last]
        crops |= crop({n: boxes[n] for n in names if boxes[n]}, frame, margin, rim, size, multiple)
        motion += gaps({n: boxes[n] for n in names}, last, index["reach"], flow_margin, frame)
    chosen = medoid(shapes) if shapes else choose(reference, crops, index["keyframes"])
    write_json(target, {"regions": regions, "reference": chosen, "crops": crops, "motion": motion})


def crop(
    boxes: dict[str, Box], frame: tuple[int, int], margin: float, rim: int, size: int, multiple: int
) -> dict[str, dict]:
    """A crop around each box, all of one size: the largest box with its margin, in a shape that needs no stretching."""
    if not boxes:
        return {}
    largest = (max(box[i] for box in boxes.values()) for i in (2, 3))
    # The edit is pasted over twice the rim (edit.py): past the crop's end there would be an edge.
    roomy = (max(round(side * (1 + 2 * margin)), side + 4 * rim) for side in largest)
    width, height = (min(side, end) for side, end in zip(roomy, frame, strict=True))
    size = ceil(size / multiple) * multiple
    short = max(min(width, height), SMALLEST_CROP)
    scale = size / short  # pixels inside the model per pixel of the picture
    work = [max(size, ceil(side * scale / multiple - 1e-6) * multiple) for side in (width, height)]
    cut = [round(side / scale) for side in work]
    return {name: {"box": centred(box, *cut, frame), "work": work} for name, box in boxes.items()}


def gaps(
    boxes: dict[str, Box | None], last: int, reach: dict[str, int], margin: float, frame: tuple[int, int]
) -> list[list]:
    """The `motion` of a segment that ends with frame `last`, from its keyframes' boxes."""
    motion = []
    for a, b in pairwise([*boxes, None]):
        end, far = (last, reach.get(a, 0)) if b is None else (int(b) - 1, 0)
        if end > int(a):
            keys = [int(name) for name in (a, b) if name]
            motion.append([keys, [int(a) + 1, end], room(boxes[a], boxes.get(b), margin, frame, far)])
    return motion


def room(a: Box | None, b: Box | None, margin: float, frame: tuple[int, int], reach: int = 0) -> Box | None:
    """Where motion beside one or two keyframes is measured: around their boxes, with a margin to move in.

    reach: pixels that things move where there is no other keyframe to tell.
    """
    both = union(a, b)
    if both is None:
        return None
    largest = max(side for box in (a, b) if box for side in box[2:])
    return grow(both, 16 + reach + round(margin * largest), frame)


def shape(inside: np.ndarray, box: Box) -> np.ndarray:
    """The silhouette of bool [H, W], whatever its place and size: bool [SIDE, SIDE]."""
    x, y, width, height = box
    side = max(width, height)
    square = cut(inside, [x - (side - width) // 2, y - (side - height) // 2, side, side], "constant")
    return cv2.resize(square.astype(np.float32), (SIDE, SIDE), interpolation=cv2.INTER_AREA) >= 0.5


def medoid(shapes: dict[str, np.ndarray]) -> str:
    """The keyframe whose silhouette overlaps most with all others; the first of those that do."""
    flat = np.stack([one.ravel() for one in shapes.values()]).astype(np.float32)
    both = flat @ flat.T
    areas = both.diagonal()
    overlap = both / np.maximum(areas[:, None] + areas - both, 1)
    return list(shapes)[int(overlap.sum(1).argmax())]


def choose(reference: str | int, crops: dict[str, dict], keyframes: list[str]) -> str:
    """The keyframe that is edited first."""
    if not crops:
        raise UserError("A is on no keyframe: every mask is empty; check `masks`, or paint one into masks_override/")
    if reference == "first":
        return min(crops)
    name = f"{reference:06d}"
    if name not in crops:
        have = ", ".join(str(int(n)) for n in sorted(crops)[:8])
        why = "has no A in it" if name in keyframes else "is not a keyframe"
        raise UserError(f"plan.reference: frame {reference} {why}; choose one of {have}, …")
    return name
