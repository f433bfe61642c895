"""Edits of neighbouring keyframes mixed along the source's motion, so that they flicker less."""

from collections.abc import Iterable

import numpy as np

from clevam import flow

Neighbour = tuple[np.ndarray, np.ndarray, tuple[int, int]]


def steadied(painted: np.ndarray, neighbours: Iterable[Neighbour], share: float) -> np.ndarray:
    """What is painted in a keyframe, RGB and weight [H, W, 4], with what is in its neighbours.

    neighbours: what is painted in each, carried to a part of this keyframe, float32 [h, w, 4]; how sure the motion is,
    [h, w]; and where that part is (x, y); share: what a neighbour counts where its motion is sure, 0..1. Only colours
    change.
    """
    total = painted.copy()
    for other, sure, (x, y) in neighbours:
        height, width = sure.shape
        part = total[y : y + height, x : x + width]
        part += share * sure[..., None] * other * (part[..., 3:] > 0)
    return total / np.maximum(total[..., 3:], 1e-6) * painted[..., 3:]


def motion(here: np.ndarray, there: np.ndarray) -> flow.Motion:
    """From one keyframe of the source to another, both brightness uint8 [H, W], at every pixel."""
    method, (height, width) = flow.Dis("medium"), here.shape
    pair = [flow.thinned(picture, method.step) for picture in (here, there)]
    way, back = method(*pair), method(*pair[::-1])
    sure = flow.certainty(way, back, *pair)
    return tuple(flow.enlarged(each, [0, 0, width, height]) for each in (way * method.step, sure))
