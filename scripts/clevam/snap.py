"""Masks drawn along the edges of the picture: guided filter (He et al., ECCV 2010)."""

import cv2
import numpy as np

RADIUS = 2  # pixels: how far a mask may be from the edge that it belongs to
SMOOTH = 1e-3  # variance of brightness, 0..1 squared, below which there is no edge


def snap(picture: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """Shares of regions, float32 [R, h, w], as they follow from the brightness around: uint8 RGB [h, w, 3]."""
    guide = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).astype(np.float32) / 255
    middle = mean(guide)
    spread = mean(guide * guide) - middle * middle
    result = []
    for share in shares:
        slope = (mean(guide * share) - middle * mean(share)) / (spread + SMOOTH)
        result.append(mean(slope) * guide + mean(mean(share) - slope * middle))
    return np.stack(result)


def mean(values: np.ndarray) -> np.ndarray:
    return cv2.boxFilter(values, -1, (2 * RADIUS + 1, 2 * RADIUS + 1))
