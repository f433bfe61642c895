"""Masks of the frames between keyframes, each segmented anew where the motion says that A is."""

import numpy as np

from clevam.candidates import box_of
from clevam.device import pick_device
from clevam.segmenter import Segmenter
from clevam.shapes import Tools

SAME = 0.7  # overlap with what motion says, below which the segmenter has taken something else


class Outline:
    """A segmenter, loaded once for many frames."""

    def __init__(self, weights: str, device: str, whole: list[int], tools: Tools) -> None:
        """whole: numbers of the regions, from 0, that are no thing with an outline but the frame behind the others."""
        self.segment, self.whole, self.tools = Segmenter(weights, pick_device(device)), whole, tools

    def __call__(self, picture: np.ndarray, shares: np.ndarray) -> np.ndarray:
        """Shares of regions, float32 [R, h, w], as segmented in uint8 RGB [h, w, 3] from the boxes around them."""
        masks, result = shares > 0.5, shares.copy()
        result[self.whole] = shares.sum(0)  # behind the things, wherever they are
        things = [r for r, mask in enumerate(masks) if r not in self.whole and mask.any()]
        if things:
            for r, found in zip(things, self.segment(picture, [box_of(masks[r]) for r in things]), strict=True):
                if (found & masks[r]).sum() >= SAME * (found | masks[r]).sum():
                    result[r] = self.tools(found)
        return result
