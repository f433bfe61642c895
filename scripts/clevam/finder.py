"""Words to masks (Grounded SAM, Ren et al., 2024): the boxes that fit a phrase, filled."""

import sys
from types import SimpleNamespace

import numpy as np

from clevam.candidates import Candidates
from clevam.device import pick_device
from clevam.uncompiled import uncompiled

# GroundingDINO brings what draws COCO's boxes, and with it matplotlib: a second of imports for nothing.
sys.modules.setdefault("groundingdino.util.visualizer", SimpleNamespace(COCOVisualizer=None))

with uncompiled():
    from torchvision.ops import nms

    from clevam.detector import Detector
    from clevam.segmenter import Segmenter

LEAST, MOST = 0.05, 6  # score of a box that may be A at all, and so many of them for a phrase
ALIKE = 0.7  # overlap of two boxes around the same thing


class Finder:
    """A detector and a segmenter, loaded once for many pictures."""

    def __init__(self, models: list[str], device: str) -> None:
        """models: paths of the detector's weights, config and text, and of the segmenter's weights; device:
        config.Runtime."""
        *detector, segmenter = models
        where = pick_device(device)
        self.detect, self.segment = Detector(*detector, where), Segmenter(segmenter, where)

    def __call__(self, picture: np.ndarray, phrases: list[str]) -> Candidates:
        """What each phrase may name in a picture, uint8 RGB [H, W, 3]; for each at least the likeliest box."""
        boxes, scores = self.detect(picture, phrases)
        chosen = []
        for region, score in enumerate(scores):
            kept = nms(boxes, score, ALIKE)[:MOST].tolist()
            chosen += [(region, n) for n in kept if n == kept[0] or score[n] >= LEAST]
        regions, numbers = (np.array(each) for each in zip(*chosen, strict=True))
        found = boxes[numbers].numpy()
        return Candidates(regions, scores[regions, numbers].numpy(), found, self.segment(picture, found.tolist()))
