"""Joining pictures of the same thing without a seam, in two bands (Burt and Adelson, ACM ToG 1983)."""

from collections.abc import Sequence

import cv2
import numpy as np

WIDE = 8.0  # pixels: spread over which what is smooth passes from one picture to the other
COARSE = 4  # pixels, of which one will do for what is smooth


def joined(pictures: Sequence[np.ndarray], weights: Sequence[np.ndarray]) -> np.ndarray:
    """One or two pictures [H, W, C] by weights [H, W] that add up to 1, float32; what is smooth by smoothed weights.

    Detail changes over where the weights say, light and colour more gently. Pictures that are the same stay so.
    """
    if len(pictures) == 1:
        return pictures[0]
    (first, second), weight = pictures, weights[0]
    apart = first - second
    low = smooth(apart)
    return second + times(apart - low, weight) + times(low, smooth(weight))


def times(picture: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """A picture [H, W, C] times a weight [H, W], float32. (Left to broadcasting it takes four times as long.)"""
    return picture * cv2.merge([weight] * picture.shape[2])


def smooth(picture: np.ndarray) -> np.ndarray:
    """[H, W, ...] blurred by WIDE, worked out at every COARSE-th pixel."""
    height, width = picture.shape[:2]
    size = (max(1, width // COARSE), max(1, height // COARSE))
    small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    return cv2.resize(cv2.GaussianBlur(small, (0, 0), WIDE / COARSE), (width, height))
