"""The source's light: how much brighter or darker A is in a frame than in the keyframes that are carried to it."""

import cv2
import numpy as np

SPREAD = 0.25  # of the light's smoothness, as a share of the side of a square as large as A
MOST = 2.0  # times brighter or darker; what differs by more is another thing
DARK = 4.0  # grey levels that are added to both, since the ratio of two blacks says nothing


def gain(here: np.ndarray, carried: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """What to multiply colours by, float32 [H, W, 1], 1/MOST to MOST.

    here, carried: what the source shows and what its keyframes, carried to the same frame, do, RGB 0..255 [H, W, 3];
    inside: weight of the pixels to be compared, float32 [H, W] 0..1. Only what is smooth over A counts (a normalised
    convolution, Knutsson and Westin 1993), so that neither detail nor errors of motion become light.
    """
    spread = max(1.0, SPREAD * float(np.sqrt(inside.sum())))
    bright, before = (cv2.GaussianBlur((luma(picture) + DARK) * inside, (0, 0), spread) for picture in (here, carried))
    ratio = np.where(before > 0, bright / np.maximum(before, 1e-6), 1)
    return np.clip(ratio, 1 / MOST, MOST)[..., None].astype(np.float32)


def luma(rgb: np.ndarray) -> np.ndarray:
    """Brightness, float32 [H, W], of RGB 0..255."""
    return np.float32(rgb) @ np.float32([0.299, 0.587, 0.114])
