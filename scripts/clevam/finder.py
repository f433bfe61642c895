"""Words to masks (Grounded SAM, Ren et al., 2024): the best box of each phrase, filled."""

import numpy as np

from clevam.detector import Detector
from clevam.device import pick_device
from clevam.segmenter import Segmenter


class Finder:
    """A detector and a segmenter, loaded once for many pictures."""

    def __init__(self, models: list[str], device: str) -> None:
        """models: paths of the detector's weights, config and text, and of the segmenter's weights; device:
        config.Runtime."""
        *detector, segmenter = models
        where = pick_device(device)
        self.detect, self.segment = Detector(*detector, where), Segmenter(segmenter, where)

    def __call__(
        self, picture: np.ndarray, phrases: list[str], threshold: float
    ) -> tuple[list[np.ndarray | None], list[float]]:
        """What each phrase names in a picture, uint8 RGB [H, W, 3]: its mask, bool [H, W], or None if the best box
        scores less than `threshold`; and that score."""
        boxes, scores = self.detect(picture, phrases)
        best = {n: boxes[of.argmax()].tolist() for n, of in enumerate(scores) if float(of.max()) >= threshold}
        shapes = dict(zip(best, self.segment(picture, list(best.values())), strict=True)) if best else {}
        return [shapes.get(n) for n in range(len(phrases))], [float(of.max()) for of in scores]
