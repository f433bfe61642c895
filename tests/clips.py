"""Tiny clips for tests, written with PyAV, and what an independent decoder finds in them."""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

RED, GREEN, BLUE, BLACK, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (0, 0, 0), (255, 255, 255)
BT709, BT601 = 1, 6  # ffmpeg's numbers
SAMPLE_RATE = 44_100

# An RGB picture [H, W, 3] or a gray one [H, W], both uint8, or the planes [Y, U, V] just as they are to be stored
Picture = np.ndarray | list[np.ndarray]


def flat(colour: tuple[int, int, int], count: int = 1, size: tuple[int, int] = (64, 48)) -> list[np.ndarray]:
    """`count` RGB pictures of one colour; size: (width, height). Two of them, added, make a hard cut."""
    return [np.full((size[1], size[0], 3), colour, np.uint8)] * count


def moving_square(count: int = 30, size: tuple[int, int] = (64, 48), side: int = 12) -> list[np.ndarray]:
    """A white square that moves one pixel a frame to the right (and round again) over a still pattern."""
    y, x = np.mgrid[: size[1], : size[0]]
    ground = np.stack([40 + x, 60 + y, 90 + (x * y) % 32], axis=-1).astype(np.uint8)
    pictures = np.repeat(ground[None], count, axis=0)
    for i, picture in enumerate(pictures):
        left = i % (size[0] - side)
        picture[8 : 8 + side, left : left + side] = 255
    return list(pictures)


def noise(pix_fmt: str, size: tuple[int, int], count: int = 1, seed: int = 0) -> list[list[np.ndarray]]:
    """Random planes that use every value of a planar YUV format."""
    form, rng = av.VideoFormat(pix_fmt, *size), np.random.default_rng(seed)
    bits = form.components[0].bits
    return [
        [rng.integers(0, 1 << bits, (c.height, c.width), np.uint8 if bits == 8 else np.uint16) for c in form.components]
        for _ in range(count)
    ]


def write_clip(
    path: str | Path,
    frames: Sequence[Picture],
    *,
    codec: str = "libx264",
    pix_fmt: str = "yuv420p",
    pts: Sequence[int] | None = None,
    time_base: Fraction = Fraction(1, 25),
    colorspace: int = BT709,
    full_range: bool = False,
    rotation: int = 0,
    aspect: Fraction | int = 1,
    sound: bool | float = False,
    **options: str,
) -> Path:
    """Write a clip and return its path.

    pts: of each frame in units of `time_base` (0, 1, 2, ... if not given; mp4 and nut keep them as they are, mkv rounds
    to milliseconds); colorspace: ffmpeg's number, 2 for an untagged clip, whose range is untagged too; rotation: of the
    display matrix, in degrees counter-clockwise; aspect: of a sample; sound: a tone in AAC, as long as the picture or
    of so many seconds; options: of the encoder (qp="0": lossless libx264).
    """
    ticks = {"video_track_timescale": str(time_base.denominator)} if Path(path).suffix == ".mp4" else {}
    height, width = (frames[0][0] if isinstance(frames[0], list) else frames[0]).shape[:2]
    with av.open(str(path), "w", options=ticks) as container:
        stream = container.add_stream(codec, rate=25, options=options)
        stream.width, stream.height, stream.pix_fmt = width, height, pix_fmt
        context = stream.codec_context
        context.time_base, context.sample_aspect_ratio = time_base, Fraction(aspect)
        context.thread_count = 1
        if colorspace != 2:
            context.colorspace = context.color_primaries = context.color_trc = colorspace
            context.color_range = 2 if full_range else 1
        if rotation:
            stream.set_display_rotation(rotation)
        if sound:
            add_tone(container, len(frames) / 25 if sound is True else sound)
        for time, picture in zip(pts or range(len(frames)), frames, strict=True):
            frame = _frame(picture, pix_fmt, colorspace, full_range)
            frame.pts, frame.time_base = time, time_base
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return Path(path)


def remux(source: str | Path, target: str | Path, *, start: int = 0, **options: str) -> Path:
    """Put the packets of a clip into another file and return its path.

    start: what becomes time 0, in units of each stream's time base; options: of the container (movflags="faststart").
    """
    with av.open(str(source)) as container, av.open(str(target), "w", options=options) as copy:
        streams = {s.index: copy.add_stream_from_template(s) for s in container.streams}
        for packet in container.demux():
            if packet.size:
                packet.pts, packet.dts = packet.pts - start, packet.dts - start
                packet.stream = streams[packet.stream.index]
                copy.mux(packet)
    return Path(target)


def write_sound(path: str | Path, seconds: float = 0.5) -> Path:
    """A file with a tone in AAC and no picture."""
    with av.open(str(path), "w") as container:
        add_tone(container, seconds)
    return Path(path)


def add_tone(container: av.container.OutputContainer, seconds: float) -> None:
    """Put a tone in AAC into a file that is being written."""
    stream = container.add_stream("aac", rate=SAMPLE_RATE, layout="mono")
    wave = 0.2 * np.sin(2 * np.pi * 440 * np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE)
    frame = av.AudioFrame.from_ndarray(wave.astype(np.float32)[None], "fltp", "mono")
    frame.sample_rate, frame.pts, frame.time_base = SAMPLE_RATE, 0, Fraction(1, SAMPLE_RATE)
    container.mux(stream.encode(frame) + stream.encode(None))


def decode(path: str | Path) -> list[av.VideoFrame]:
    """All frames of a clip, decoded from the start by one thread."""
    with av.open(str(path)) as container:
        container.streams.video[0].thread_type = "NONE"
        return list(container.decode(video=0))


def _frame(picture: Picture, pix_fmt: str, colorspace: int, full_range: bool) -> av.VideoFrame:
    if isinstance(picture, list):
        return _planar(picture, pix_fmt)
    if picture.ndim == 2:
        if pix_fmt == "gray":
            return av.VideoFrame.from_ndarray(picture, "gray")
        picture = np.repeat(picture[:, :, None], 3, axis=2)
    matrix = 1 if colorspace == BT709 else 5  # swscale's numbers
    frame = av.VideoFrame.from_ndarray(picture, "rgb24")
    return frame.reformat(format=pix_fmt, dst_colorspace=matrix, dst_color_range=2 if full_range else 1)


def _planar(planes: list[np.ndarray], pix_fmt: str) -> av.VideoFrame:
    frame = av.VideoFrame(planes[0].shape[1], planes[0].shape[0], pix_fmt)
    for plane, samples in zip(frame.planes, planes, strict=True):
        rows = np.zeros((plane.height, plane.line_size // samples.itemsize), samples.dtype)
        rows[:, : plane.width] = samples
        plane.update(rows)
    return frame
