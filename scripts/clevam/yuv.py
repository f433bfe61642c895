"""Video samples: planes of a decoded frame, and the way to RGB and back.

A frame is a list of three arrays, Y, U and V, in the stream's own depth and chroma size, so that samples which are not
edited can be written back exactly as they were read.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from clevam.geometry import cut

# Kr and Kb of the standards, ITU-R BT.709-6, BT.601-7 and BT.2020-2, by ffmpeg's AVCOL_SPC number
_WEIGHTS = {1: (0.2126, 0.0722), 5: (0.299, 0.114), 6: (0.299, 0.114), 9: (0.2627, 0.0593)}


@dataclass(frozen=True)
class Format:
    """How samples code colour."""

    bits: int  # of a sample, 8 to 16
    full_range: bool  # 0..2^bits-1 rather than the limited (studio) range
    colorspace: int  # AVCOL_SPC number
    chroma: tuple[int, int]  # luma samples per chroma sample, (x, y): (2, 2) for 4:2:0

    @classmethod
    def of(cls, facts: dict) -> "Format":
        """The format of a stream from its facts (video.probe); untagged is BT.601 up to 576 lines, else BT.709."""
        space = facts["colorspace"]
        if space not in _WEIGHTS:
            space = 6 if facts["height"] <= 576 else 1
        return cls(facts["bits"], facts["full_range"], space, tuple(facts["chroma"]))

    @property
    def scale(self) -> tuple[float, float, float]:
        """(luma offset, luma span, chroma span) in sample values; BT.709-6 section 3.4."""
        unit = 1 << (self.bits - 8)
        top = (1 << self.bits) - 1
        return (0.0, float(top), float(top)) if self.full_range else (16.0 * unit, 219.0 * unit, 224.0 * unit)

    @property
    def dtype(self) -> type:
        return np.uint8 if self.bits == 8 else np.uint16


def to_rgb(planes: list[np.ndarray], form: Format) -> np.ndarray:
    """float32 RGB [H, W, 3], nominally 0..1, of Y [H, W] and U, V in their own sizes."""
    kr, kb = _WEIGHTS[form.colorspace]
    offset, luma, chroma = form.scale
    height, width = planes[0].shape
    y = (planes[0].astype(np.float32) - offset) / luma
    centre = float(1 << (form.bits - 1))
    u, v = (cv2.resize((p.astype(np.float32) - centre) / chroma, (width, height)) for p in planes[1:])
    red = y + 2 * (1 - kr) * v
    blue = y + 2 * (1 - kb) * u
    green = (y - kr * red - kb * blue) / (1 - kr - kb)
    return np.stack([red, green, blue], axis=-1)


def from_rgb(rgb: np.ndarray, form: Format) -> list[np.ndarray]:
    """The inverse of `to_rgb`: float32 planes in sample values, chroma averaged over the luma samples it serves."""
    kr, kb = _WEIGHTS[form.colorspace]
    offset, luma, chroma = form.scale
    red, green, blue = cv2.split(rgb.astype(np.float32))
    y = kr * red + (1 - kr - kb) * green + kb * blue
    centre = float(1 << (form.bits - 1))
    u = (blue - y) / (2 * (1 - kb)) * chroma + centre
    v = (red - y) / (2 * (1 - kr)) * chroma + centre
    return [y * luma + offset, subsample(u, form.chroma), subsample(v, form.chroma)]


def subsample(plane: np.ndarray, chroma: tuple[int, int]) -> np.ndarray:
    """Average float [H, W] over cells of `chroma` (x, y) samples; an odd edge averages what is there."""
    x, y = chroma
    height, width = plane.shape
    small = -(-width // x), -(-height // y)
    whole = cut(plane, [0, 0, small[0] * x, small[1] * y], "edge")
    return cv2.resize(whole, small, interpolation=cv2.INTER_AREA)


def to_uint8(rgb: np.ndarray) -> np.ndarray:
    """RGB 0..1 as uint8, rounded and clipped."""
    return np.clip(np.rint(rgb * 255), 0, 255).astype(np.uint8)


def quantise(plane: np.ndarray, form: Format) -> np.ndarray:
    """Float sample values rounded and clipped to what the format can hold."""
    return np.clip(np.rint(plane), 0, (1 << form.bits) - 1).astype(form.dtype)
