"""Small videos and pictures that a page can hold."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from av.video.reformatter import VideoReformatter
from PIL import Image

SIDE, SMALL, THUMB = 640, 384, 320  # pixels of the longer side of a video, of one of less detail, and of a picture
RATE, OVERLAY_RATE = 800_000, 150_000  # bits per second at most
SECONDS = 60  # what lasts longer gets fewer bits, so that pages stay below some 30 MB
REGIONS = [(255, 145, 40), (60, 170, 255), (190, 110, 255), (80, 220, 120), (255, 95, 140)]  # colours of labels


def fitted(size: tuple[int, int], side: int) -> tuple[int, int]:
    """(width, height), even and no longer than `side`."""
    scale = min(1.0, side / max(size))
    return tuple(max(2, round(length * scale / 2) * 2) for length in size)


def shrunk(picture: np.ndarray, side: int = SIDE, way: int = cv2.INTER_AREA) -> np.ndarray:
    """The picture [H, W, ...] with its longer side `side` at most and both even; way: cv2.INTER_NEAREST for labels."""
    height, width = picture.shape[:2]
    return cv2.resize(picture, fitted((width, height), side), interpolation=way)


@contextmanager
def video(path: Path, facts: dict, seconds: float, rate: int = RATE) -> Iterator:
    """Yield a function that appends a picture, uint8 RGB [H, W, 3], and its time in the source's time base from 0.

    An mp4 for the web, with key frames close together, so that a player jumps quickly.
    """
    limit = int(rate * min(1.0, SECONDS / max(seconds, 1e-3)))
    options = {
        "preset": "veryfast",
        "crf": "23",
        "maxrate": str(limit),
        "bufsize": str(2 * limit),
        "bf": "0",
        "g": "24",
        # With it and a largest rate, x264 reads memory beside pictures of a few blocks: other bytes now and then.
        "x264-params": "mbtree=0",
    }
    base = Fraction(*facts["time_base"])
    with av.open(str(path), "w", format="mp4", options={"movflags": "faststart"}) as container:
        stream, reformatter = None, VideoReformatter()  # one for all: each has threads of its own

        def write(picture: np.ndarray, pts: int) -> None:
            nonlocal stream
            if stream is None:
                stream = _stream(container, picture.shape[1::-1], Fraction(*facts["rate"]), base, options)
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
            frame = reformatter.reformat(frame, format="yuv420p", dst_colorspace=1, dst_color_range=1)
            frame.pts, frame.time_base = pts, base
            container.mux(stream.encode(frame))

        yield write
        if stream is not None:
            container.mux(stream.encode(None))


def _stream(
    container: av.container.OutputContainer, size: tuple[int, int], rate: Fraction, base: Fraction, options: dict
) -> av.VideoStream:
    stream = container.add_stream("libx264", rate=rate, options=options)
    stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
    context = stream.codec_context
    context.time_base, context.thread_count = base, 1  # one: the same bytes every time
    context.colorspace = context.color_primaries = context.color_trc = context.color_range = 1
    return stream


def jpeg(picture: np.ndarray, side: int = THUMB) -> bytes:
    """A uint8 RGB picture, shrunk to `side`."""
    stream = io.BytesIO()
    Image.fromarray(shrunk(picture, side)).save(stream, format="JPEG", quality=82)
    return stream.getvalue()


# ---- overlays, black where there is nothing to show: they are added to the picture ----


def region_colours(labels: np.ndarray) -> np.ndarray:
    """A label map as areas with a bright edge."""
    colours = np.zeros((256, 1, 3), np.uint8)
    colours[1:, 0] = [REGIONS[n % len(REGIONS)] for n in range(255)]
    inside = cv2.erode(labels, np.ones((3, 3), np.uint8)) == labels
    filled = cv2.LUT(cv2.merge([labels] * 3), colours)
    return np.where(cv2.merge([np.uint8(inside)] * 3), filled // 5, filled)


def motion_colours(motion: np.ndarray) -> np.ndarray:
    """Flow float32 [H, W, 2]: direction as hue, length as brightness, full at a thirtieth of the longer side."""
    length, angle = cv2.cartToPolar(motion[..., 0], motion[..., 1], angleInDegrees=True)
    bright = np.sqrt(np.minimum(length / (max(motion.shape) / 30), 1))
    hsv = np.dstack([angle / 2, np.full_like(angle, 255), 255 * bright])
    return cv2.cvtColor(np.uint8(np.rint(hsv)), cv2.COLOR_HSV2RGB)


def sure_colours(sure: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Certainty 0..1 float32 [H, W], from red to green, within a mask."""
    colours = np.dstack([np.minimum(2 - 2 * sure, 1), np.minimum(2 * sure, 1), np.full_like(sure, 0.1)])
    return np.uint8(np.rint(255 * colours * mask[..., None]))


def difference_colours(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """How far two pictures are apart, four times enlarged, from black over red to white."""
    red, green, blue = cv2.split(cv2.absdiff(before, after))
    apart = cv2.max(cv2.max(red, green), blue)
    return cv2.cvtColor(cv2.applyColorMap(cv2.convertScaleAbs(apart, alpha=4), cv2.COLORMAP_INFERNO), cv2.COLOR_BGR2RGB)
