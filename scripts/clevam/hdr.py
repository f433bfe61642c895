"""What a screen is told of an HDR picture, in the notation that x265 and ffmpeg's options share."""

import struct
from fractions import Fraction

import av

_CHROMATICITY, _LUMINANCE = 50_000, 10_000  # units per 1 and per candela/m², of SMPTE ST 2086 in HEVC
_CORNERS = ("G", "B", "R", "WP")


def static(frame: av.VideoFrame) -> dict[str, str]:
    """`mastering_display` (SMPTE ST 2086) and `content_light` (MaxCLL,MaxFALL) of a frame, as far as it has them."""
    found, side = {}, frame.side_data
    if screen := side.get("MASTERING_DISPLAY_METADATA"):
        *ratios, has_primaries, has_luminance = struct.unpack("=22i", bytes(screen))
        if has_primaries and has_luminance:
            values = [Fraction(*ratios[k : k + 2]) for k in range(0, 20, 2)]
            points = [round(v * _CHROMATICITY) for v in values[:8]]
            corners = [f"{name}({points[k]},{points[k + 1]})" for name, k in zip(_CORNERS, (2, 4, 0, 6), strict=True)]
            darkest, brightest = (round(v * _LUMINANCE) for v in values[8:])
            found["mastering_display"] = f"{''.join(corners)}L({brightest},{darkest})"
    if light := side.get("CONTENT_LIGHT_LEVEL"):
        found["content_light"] = "{},{}".format(*struct.unpack("=2I", bytes(light)))
    return found
