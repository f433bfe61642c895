"""What a result is measured by: one function per metric.

Pictures are uint8 RGB [H, W, 3], upright; masks bool [H, W]. None stands for what cannot be told of a frame.
"""

from collections.abc import Sequence

import cv2
import numpy as np
from skimage.metrics import structural_similarity

from clevam.figures import ALL
from clevam.flow import warp

IDENTICAL = 100.0  # dB, in place of infinity


def squared_error(before: np.ndarray, after: np.ndarray, where: np.ndarray | None = None) -> float | None:
    """Mean squared difference, in squared sample values, over the pixels of `where`."""
    difference = np.square(after.astype(np.float32) - before)
    if where is None:
        return float(difference.mean(dtype=np.float64))
    return float(difference[where].mean(dtype=np.float64)) if where.any() else None


def psnr(error: float | None, peak: float = 255.0) -> float | None:
    """A mean squared error in dB, IDENTICAL at most."""
    if error is None:
        return None
    return float(min(IDENTICAL, 10 * np.log10(peak**2 / error))) if error > 0 else IDENTICAL


def ssim(before: np.ndarray, after: np.ndarray, where: np.ndarray | None = None) -> float | None:
    """Structural similarity of brightness, Wang et al.'s settings, over the pixels of `where`; None if too small."""
    gray = [cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY) for picture in (before, after)]
    if min(gray[0].shape) < 11 or (where is not None and not where.any()):
        return None
    _, each = structural_similarity(
        *gray, data_range=255, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, full=True
    )
    return float((each if where is None else each[where]).mean(dtype=np.float64))


def blanked(picture: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """The picture with A black."""
    return picture * ~mask[..., None]


def exactness(before: Sequence[np.ndarray], after: Sequence[np.ndarray], outside: np.ndarray) -> float | None:
    """Share of the pixels outside whose samples are all the same.

    before, after: planes Y, U, V; outside: bool [H, W] as stored. Pixels that share a chroma sample with one that is
    not outside are not counted.
    """
    same, counted = before[0] == after[0], outside
    height, width = outside.shape
    for a, b in zip(before[1:], after[1:], strict=True):
        cell = -(-height // a.shape[0]), -(-width // a.shape[1])
        same = same & _spread(a == b, cell, outside.shape)
        counted = counted & _spread(~_any(~outside, cell), cell, outside.shape)
    return float(same[counted].mean()) if counted.any() else None


def _any(mask: np.ndarray, cell: tuple[int, int]) -> np.ndarray:
    """Whether a mask is true anywhere in each cell of (rows, columns)."""
    rows, columns = cell
    padded = np.pad(mask, ((0, -mask.shape[0] % rows), (0, -mask.shape[1] % columns)))
    return padded.reshape(padded.shape[0] // rows, rows, padded.shape[1] // columns, columns).any((1, 3))


def _spread(mask: np.ndarray, cell: tuple[int, int], shape: tuple[int, int]) -> np.ndarray:
    """Each value for all pixels of its cell."""
    return mask.repeat(cell[0], 0).repeat(cell[1], 1)[: shape[0], : shape[1]]


def reached(forward: np.ndarray, backward: np.ndarray) -> np.ndarray:
    """Where a flow float32 [H, W, 2] passes the forward-backward check of Sundaram et al. (ECCV 2010), bool [H, W]."""
    back = warp(backward, forward)
    inside = warp(np.ones(forward.shape[:2], np.float32), forward, cv2.BORDER_CONSTANT) > 0.99
    error = np.square(forward + back).sum(-1)
    return inside & (error < 0.01 * (np.square(forward).sum(-1) + np.square(back).sum(-1)) + 0.5)


def warp_error(here: np.ndarray, there: np.ndarray, where: np.ndarray) -> float | None:
    """Mean squared error x 1000 of a frame and the next, already warped to it, RGB 0..1."""
    error = squared_error(here, there, where)
    return None if error is None else 1000 * error / 255**2


def overlap(mask: np.ndarray, other: np.ndarray) -> float | None:
    """Intersection over union."""
    union = (mask | other).sum()
    return float((mask & other).sum() / union) if union else None


def change(before: np.ndarray, after: np.ndarray, mask: np.ndarray) -> float | None:
    """Mean distance in CIE Lab within the mask."""
    if not mask.any():
        return None
    ends = [
        cv2.cvtColor(picture[mask][None].astype(np.float32) / 255, cv2.COLOR_RGB2LAB) for picture in (before, after)
    ]
    return float(np.linalg.norm(ends[1] - ends[0], axis=-1).mean())


def told(series: dict[str, list[float | None]]) -> dict[str, dict]:
    """{"series", "summary"}: values rounded, and what they come to."""
    rounded = {name: [v if v is None else float(f"{v:.5g}") for v in values] for name, values in series.items()}
    return {"series": rounded, "summary": summarised(series)}


def summarised(series: dict[str, list[float | None]]) -> dict[str, dict]:
    """Of every metric {"mean", "worst", "frame"} over its frames, the last two where one end is better; None if none.

    PSNR is averaged as an error, not in dB.
    """
    return {name: _summary(values, name) for name, values in series.items()}


def _summary(values: list[float | None], name: str) -> dict | None:
    known = [(value, frame) for frame, value in enumerate(values) if value is not None]
    if not known:
        return None
    numbers = np.array([value for value, _ in known])
    if name.endswith("psnr"):
        mean = psnr(float(np.mean(np.where(numbers < IDENTICAL, 255**2 / 10 ** (numbers / 10), 0))))
    else:
        mean = float(numbers.mean())
    better = ALL[name].better
    if better is None:
        return {"mean": mean}
    worst, frame = min(known) if better == "high" else max(known, key=lambda pair: (pair[0], -pair[1]))
    return {"mean": mean, "worst": worst, "frame": frame}
