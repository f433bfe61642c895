"""Boxes and soft rims, in upright pixels.

A box is [x, y, width, height] in whole pixels; it may reach beyond the picture.
"""

from collections.abc import Sequence

import cv2
import numpy as np

Box = list[int]


def bounding(mask: np.ndarray) -> Box | None:
    """The tightest box around the true pixels of bool [H, W]; None if there are none."""
    box = [int(n) for n in cv2.boundingRect(mask.view(np.uint8))]
    return box if box[2] else None


def moved(box: Box, x: int, y: int) -> Box:
    """A box that much further to the right and down."""
    return [box[0] + x, box[1] + y, *box[2:]]


def seen_from(box: Box, corner: Sequence[int]) -> Box:
    """A box in the part of the picture that begins at `corner` (x, y)."""
    return moved(box, -corner[0], -corner[1])


def union(a: Box | None, b: Box | None) -> Box | None:
    """The smallest box around two."""
    if a is None or b is None:
        return a or b
    x, y = min(a[0], b[0]), min(a[1], b[1])
    return [x, y, max(a[0] + a[2], b[0] + b[2]) - x, max(a[1] + a[3], b[1] + b[3]) - y]


def grow(box: Box, by: int, size: tuple[int, int]) -> Box:
    """A box with `by` pixels more on every side, within a picture of `size` (width, height)."""
    x, y = max(box[0] - by, 0), max(box[1] - by, 0)
    return [x, y, min(box[0] + box[2] + by, size[0]) - x, min(box[1] + box[3] + by, size[1]) - y]


def centred(box: Box, width: int, height: int, size: tuple[int, int]) -> Box:
    """A box of width x height around the centre of `box`, moved into a picture of `size` where it fits."""

    def start(middle: float, length: int, room: int) -> int:
        at = round(middle - length / 2)
        return min(max(at, 0), room - length) if length <= room else (room - length) // 2

    x, y = box[0] + box[2] / 2, box[1] + box[3] / 2
    return [start(x, width, size[0]), start(y, height, size[1]), width, height]


def within(box: Box, size: tuple[int, int]) -> Box:
    """The part of a box inside a picture of `size` (width, height)."""
    return grow(box, 0, size)


def region(box: Box) -> tuple[slice, slice]:
    """The rows and columns of a box that lies inside its picture."""
    x, y, width, height = box
    return slice(y, y + height), slice(x, x + width)


def cut(picture: np.ndarray, box: Box, mode: str = "reflect") -> np.ndarray:
    """The pixels of `box` from [H, W, ...]; what lies outside is padded in numpy's `mode`."""
    height, width = picture.shape[:2]
    inner = within(box, (width, height))
    if inner == list(box):
        return picture[region(box)].copy()
    left, top = inner[0] - box[0], inner[1] - box[1]
    pad = [(top, box[3] - inner[3] - top), (left, box[2] - inner[2] - left)] + [(0, 0)] * (picture.ndim - 2)
    return np.pad(picture[region(inner)], pad, mode=mode)


def paste(picture: np.ndarray, crop: np.ndarray, box: Box, alpha: np.ndarray) -> np.ndarray:
    """uint8 RGB `picture` with float `crop` (0..255) laid over `box`, weighted by the picture's `alpha` [H, W]."""
    inner = within(box, picture.shape[1::-1])
    rows, columns = region(inner)
    piece = crop[rows.start - box[1] : rows.stop - box[1], columns.start - box[0] : columns.stop - box[0]]
    weight = alpha[rows, columns, None]
    result = picture.copy()
    blended = weight * piece + (1 - weight) * picture[rows, columns]
    # Where the weight is nothing the sample itself is kept, not its way through floating point.
    result[rows, columns] = np.where(
        weight > 0, np.clip(np.rint(blended), 0, 255).astype(np.uint8), picture[rows, columns]
    )
    return result


def feather(mask: np.ndarray, inner: float, outer: float) -> np.ndarray:
    """float32 weight [H, W]: 1 up to `inner` pixels from the bool mask, falling linearly to 0 at `outer` and beyond.

    Distances are Euclidean, between pixel centres; `outer` counts as at least one pixel more than `inner`, so
    feather(mask, 0, 1) is the mask itself.
    """
    if not mask.any():
        return np.zeros(mask.shape, np.float32)
    distance = cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    outer = max(outer, inner + 1)
    return np.clip((outer - distance) / (outer - inner), 0, 1).astype(np.float32)
