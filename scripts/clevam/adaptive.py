"""Keyframes as few as the motion allows: a new one where too much of a frame is not to be seen in the last."""

import av
import cv2
import numpy as np

from clevam import flow, video
from clevam.errors import UserError
from clevam.geometry import region, within
from clevam.orientation import upright

SIDE = 160  # pixels: the longer side of the pictures in which motion is followed
GRAIN = 1.0  # pixels: what is finer is smoothed away, for grain moves where nothing does
CELLS = 4  # of the grid, both ways
SURE = 0.3  # certainty from which on a pixel is reached


class Adaptive:
    """Watches a clip go by. Of what was, it holds small pictures of the last keyframe and of the frame before."""

    def __init__(self, unreached: float, box: list[float] | None) -> None:
        """unreached: share of the grid's worst cell, 0..1; box: [x0, y0, x1, y1] in upright pixels, None for all."""
        self.unreached, self.box, self.method = unreached, box, flow.Dis("medium")
        self.key = self.before = self.ways = None
        self.reach: dict[int, int] = {}  # by keyframe: pixels that what is seen in it moves until the next

    def see(self, i: int, frame: av.VideoFrame, facts: dict, anew: bool) -> None:
        """Frame i, the next one; anew: a shot begins with it."""
        here, scale = self._small(frame, facts)
        reached = np.zeros(here.shape, bool) if anew or self.key is None else self._reached(here)
        if worst(~reached) > self.unreached:
            self.key, self.ways, self.reach[i] = here, (np.zeros((*here.shape, 2), np.float32),) * 2, 0
        else:
            last, moved = max(self.reach), np.linalg.norm(self.ways[0][reached], axis=-1) / scale
            self.reach[last] = max(self.reach[last], round(float(moved.max(initial=0))))
        self.before = here

    def _small(self, frame: av.VideoFrame, facts: dict) -> tuple[np.ndarray, float]:
        """What is looked at, uint8 [H, W], and its size over that of the upright frame."""
        picture = upright(video.luma8(frame, facts), facts)
        if self.box:
            picture = picture[region(inside(self.box, picture.shape[1::-1]))]
        scale = min(1, SIDE / max(picture.shape))
        size = [max(1, round(side * scale)) for side in picture.shape[::-1]]
        small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
        return cv2.GaussianBlur(small, (0, 0), GRAIN), scale

    def _reached(self, here: np.ndarray) -> np.ndarray:
        """Which pixels of the frame after `before` are surely seen in the last keyframe, bool [H, W]."""
        step = self.method(here, self.before), self.method(self.before, here)
        ways, sure = flow.further(self.ways, step, here, self.key, self.method)
        # Where nothing is to be told apart, motion would go astray frame by frame.
        still = np.zeros_like(ways[0])
        resting = flow.certainty(still, still, here, self.key)
        self.ways = tuple(np.where((resting >= sure)[..., None], still, way) for way in ways)
        return np.maximum(sure, resting) >= SURE


def worst(missing: np.ndarray) -> float:
    """The largest share that true pixels of bool [H, W] have in a cell of the grid."""
    return float(cv2.resize(np.float32(missing), (CELLS, CELLS), interpolation=cv2.INTER_AREA).max())


def inside(box: list[float], size: tuple[int, int]) -> list[int]:
    """The part of [x0, y0, x1, y1] in a picture of `size` (width, height), as [x, y, width, height]."""
    x0, y0, x1, y1 = map(round, box)
    result = within([x0, y0, x1 - x0, y1 - y0], size)
    if min(result[2:]) < 1:
        raise UserError(f"keyframes.region: {box} lies outside of the upright picture, {size[0]}x{size[1]}")
    return result
