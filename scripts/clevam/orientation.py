"""Upright pictures: rotated as they are shown, with square pixels.

Keyframes, masks, boxes and flows are all upright; only video.py's planes are as stored.
"""

from fractions import Fraction

import cv2
import numpy as np


def upright_size(facts: dict) -> tuple[int, int]:
    """(width, height) of the upright picture."""
    width, height = _square(facts)
    return (height, width) if facts["rotation"] % 180 else (width, height)


def upright(stored: np.ndarray, facts: dict) -> np.ndarray:
    """A stored picture [H, W] or [H, W, C] as it is meant to be seen."""
    turned = np.rot90(stored, facts["rotation"] // 90)
    return _resize(turned, upright_size(facts))


def as_stored(picture: np.ndarray, facts: dict) -> np.ndarray:
    """The inverse of `upright`."""
    turned = np.rot90(picture, -(facts["rotation"] // 90))
    return _resize(turned, (facts["width"], facts["height"]))


def _square(facts: dict) -> tuple[int, int]:
    """Stored (width, height) made square by stretching the shorter side of a pixel, so that no sample is lost."""
    aspect = Fraction(*facts["sample_aspect"])
    width, height = facts["width"], facts["height"]
    return (round(width * aspect), height) if aspect >= 1 else (width, round(height / aspect))


def _resize(picture: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    picture = np.ascontiguousarray(picture)
    if picture.shape[1::-1] == size:
        return picture
    return cv2.resize(picture, size, interpolation=cv2.INTER_LINEAR)
