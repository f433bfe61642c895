"""Reading video with PyAV: stream facts, frames in presentation order, planes in and out."""

from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import av
import numpy as np

from clevam.errors import UserError
from clevam.yuv import Format, to_uint8


def probe(path: str | Path) -> dict:
    """The facts of the first video stream, as plain values.

    codec; width and height as stored; rotation in degrees counter-clockwise to stand upright; sample_aspect [n, d];
    pix_fmt as stored; format, the planar YUV format that frames are read in, with its bits and chroma [x, y] (luma
    samples per chroma sample); full_range; color_range, colorspace, primaries, transfer (ffmpeg's numbers);
    rate, the average in frames per second, and time_base, both [n, d].
    Raises UserError if there is no video to read.
    """
    with _open(path) as container:
        stream = container.streams.video[0]
        frame = _first_frame(container, path)
        context, stored = stream.codec_context, frame.format.name
        form = av.VideoFormat(working_format(stored), frame.width, frame.height)
        rgb = frame.format.is_rgb  # read as BT.709 in the limited range
        color_range = 1 if rgb else int(context.color_range)
        aspect, rate = stream.sample_aspect_ratio or 1, stream.average_rate or 25
        return {
            "codec": context.name,
            "width": frame.width,
            "height": frame.height,
            "rotation": round(frame.rotation / 90) * 90 % 360,
            "sample_aspect": [aspect.numerator, aspect.denominator],
            "pix_fmt": stored,
            "format": form.name,
            "bits": form.components[0].bits,
            "chroma": [-(-frame.width // form.chroma_width()), -(-frame.height // form.chroma_height())],
            "color_range": color_range,
            "full_range": color_range == 2 or stored.startswith("yuvj"),
            "colorspace": 1 if rgb else int(context.colorspace),
            "primaries": int(context.color_primaries),
            "transfer": int(context.color_trc),
            "rate": [rate.numerator, rate.denominator],
            "time_base": [stream.time_base.numerator, stream.time_base.denominator],
        }


def working_format(pix_fmt: str) -> str:
    """The planar YUV format that frames of `pix_fmt` are read in: the same one wherever it is planar YUV."""
    name = pix_fmt.replace("yuvj", "yuv").replace("yuva", "yuv")
    if name.startswith("yuv4") and not name.endswith("be"):
        return name
    form = av.VideoFormat(name)
    if name.startswith(("nv12", "nv21")):
        return "yuv420p"
    return "yuv444p" if form.components[0].bits <= 8 else "yuv444p12le"


def frames(path: str | Path, first: int = 0, last: int | None = None, pts: list[int] | None = None) -> Iterator:
    """Frames `first` to `last` (inclusive; None: to the end) as (index, av.VideoFrame), in presentation order.

    `pts`, the presentation times of all frames, lets it seek instead of decoding from the start.
    """
    with _open(path) as container:
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        decoded, index = container.decode(stream), 0
        if first and pts:
            container.seek(pts[first], stream=stream)
            frame = next(decoded, None)
            index = _landing(frame, pts, first)
            if index is None:  # the container cannot seek there: decode from the start
                yield from frames(path, first, last)
                return
            decoded = chain([frame], decoded)
        for i, frame in enumerate(decoded, index):
            if last is not None and i > last:
                return
            if i >= first:
                yield i, frame


def _landing(frame: av.VideoFrame | None, pts: list[int], first: int) -> int | None:
    """Which frame a seek landed on, if it is a frame up to `first`."""
    return pts.index(frame.pts) if frame and frame.pts in pts[: first + 1] else None


def planes(frame: av.VideoFrame, facts: dict) -> list[np.ndarray]:
    """Y, U and V of a frame in its working format: uint8, or uint16 for more than 8 bits."""
    if working_format(frame.format.name) == frame.format.name.replace("yuvj", "yuv"):
        source = frame
    elif frame.format.is_rgb:
        source = frame.reformat(format=facts["format"], dst_colorspace=1, dst_color_range=1)
    else:
        source = frame.reformat(format=facts["format"])
    dtype = np.dtype(np.uint8 if facts["bits"] == 8 else np.uint16)
    return [
        np.frombuffer(p, dtype).reshape(p.height, p.line_size // dtype.itemsize)[:, : p.width] for p in source.planes
    ]


def to_frame(samples: list[np.ndarray], facts: dict, pts: int) -> av.VideoFrame:
    """The inverse of `planes`."""
    height, width = samples[0].shape
    frame = av.VideoFrame(width, height, facts["format"])
    for plane, array in zip(frame.planes, samples, strict=True):
        buffer = np.zeros((plane.height, plane.line_size // array.itemsize), array.dtype)
        buffer[:, : plane.width] = array
        plane.update(buffer)
    frame.pts = pts
    return frame


def luma8(frame: av.VideoFrame, facts: dict) -> np.ndarray:
    """The brightness of a frame, uint8 [H, W] as stored."""
    y = planes(frame, facts)[0]
    return y if facts["bits"] == 8 else (y >> (facts["bits"] - 8)).astype(np.uint8)


def gray8(frame: av.VideoFrame, facts: dict) -> np.ndarray:
    """The brightness of a frame on the full scale from black 0 to white 255, uint8 [H, W] as stored."""
    if facts["pix_fmt"].startswith("gray"):
        return frame.to_ndarray(format="gray")
    offset, span, _ = Format.of(facts).scale
    return to_uint8((planes(frame, facts)[0] - np.float32(offset)) / np.float32(span))


def file_url(path: str | Path) -> str:
    """A path as ffmpeg's file protocol, so that no name is taken for another protocol or an option."""
    return f"file:{path}"


def _open(path: str | Path) -> av.container.InputContainer:
    try:
        container = av.open(file_url(path))
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except (av.FFmpegError, IsADirectoryError) as error:
        raise UserError(f"{path}: not a video that can be read ({error.strerror})") from None
    if not container.streams.video:
        container.close()
        raise UserError(f"{path}: there is no picture in this file, only sound or data")
    return container


def _first_frame(container: av.container.InputContainer, path: str | Path) -> av.VideoFrame:
    try:
        return next(container.decode(video=0))
    except (StopIteration, av.FFmpegError):
        raise UserError(f"{path}: no frame can be decoded") from None
