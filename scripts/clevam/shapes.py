"""What is done to a mask before B is painted into it: more room, fewer holes, no crumbs."""

from dataclasses import dataclass

import cv2
import numpy as np

LOOSE = 0.3  # how far a loose mask reaches beyond its hull, as a share of the side of a square as large as A


@dataclass(frozen=True)
class Tools:
    """config.Masks, in the order in which they are used.

    least: smallest connected part, in pixels; fill_holes, hull: convex hull of all parts; loose: hull, and more around
    it; dilate: pixels more around it, or less where negative.
    """

    least: int = 0
    fill_holes: bool = False
    hull: bool = False
    loose: bool = False
    dilate: int = 0

    def __call__(self, mask: np.ndarray) -> np.ndarray:
        """bool [H, W] to bool [H, W]."""
        if self.least > 1:
            mask = without_crumbs(mask, self.least)
        if self.fill_holes:
            mask = filled(mask)
        if self.hull or self.loose:
            mask = hull(mask)
        return grown(mask, self.dilate + (round(LOOSE * mask.sum() ** 0.5) if self.loose else 0))


def without_crumbs(mask: np.ndarray, least: int) -> np.ndarray:
    """The connected parts of at least so many pixels."""
    _, parts, figures, _ = cv2.connectedComponentsWithStats(np.uint8(mask))
    large = figures[:, cv2.CC_STAT_AREA] >= least
    return large[parts] & mask


def filled(mask: np.ndarray) -> np.ndarray:
    """With everything that it surrounds."""
    outlines, _ = cv2.findContours(np.uint8(mask), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    return cv2.drawContours(np.uint8(mask), outlines, -1, 1, cv2.FILLED) > 0


def hull(mask: np.ndarray) -> np.ndarray:
    """The smallest convex shape around it."""
    points = cv2.findNonZero(np.uint8(mask))
    return mask if points is None else cv2.fillConvexPoly(np.uint8(mask), cv2.convexHull(points), 1) > 0


def grown(mask: np.ndarray, by: int) -> np.ndarray:
    """All pixels at most `by` from it; where negative, those more than that from all others of the picture."""
    if not by or not mask.any():
        return mask
    away = cv2.distanceTransform(np.uint8(~mask if by > 0 else mask), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return away <= by if by > 0 else mask & (away > -by)
