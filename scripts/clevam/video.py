"""Reading video with PyAV: stream facts, frames in presentation order, planes in and out."""

import math
import shlex
import struct
from collections.abc import Iterator
from contextlib import suppress
from fractions import Fraction
from itertools import islice
from pathlib import Path

import av
import numpy as np
from av.video.reformatter import VideoReformatter

from clevam import hdr
from clevam.damage import Trouble, hint, is_cut_off
from clevam.errors import UserError
from clevam.yuv import Format, to_rgb, to_uint8

# What a video may be (ffmpeg's names). Not what names other files to be read: playlists, scripts, patterns of pictures.
KINDS = (
    "mov,matroska,webm,avi,mpegts,mpeg,mpegvideo,m4v,h264,hevc,vvc,av1,obu,ivf,ogg,flv,asf,nut,rm,mxf,gxf,dv,wtv,"
    "yuv4mpegpipe,mjpeg,gif,apng,webp,png_pipe,jpeg_pipe,bmp_pipe,tiff_pipe,webp_pipe"
)
PIXELS = 1 << 26  # of a frame, where nothing else is said: 8192x8192

REFORMATTER = VideoReformatter()  # a frame's own has threads of its own, which live until they are collected: hundreds

# Codecs with a frame for every packet, unless it is interlaced. Others have frames that are never shown.
_FRAME_PER_PACKET = {"h264", "hevc"}


def probe(path: str | Path, pixels: int = PIXELS) -> dict:
    """The facts of the first video stream, as plain values. pixels: of a frame, at most.

    codec; width and height as stored; rotation in degrees counter-clockwise to stand upright; sample_aspect [n, d];
    pix_fmt as stored; format, the planar YUV format that frames are read in, with its bits and chroma [x, y] (luma
    samples per chroma sample); full_range; color_range, colorspace, primaries, transfer (ffmpeg's numbers);
    rate, the average in frames per second, and time_base, both [n, d]; hdr (hdr.static).
    Raises UserError if there is no video to read.
    """
    with opened(path) as container:
        stream = _picture(container, path)
        context, aspect = stream.codec_context, stream.sample_aspect_ratio or Fraction(1)
        _check_size(path, (context.width, context.height), aspect, pixels)  # before one is decoded
        frame = next(_decoded(container, stream, []), None)
        if frame is None:
            raise UserError(f"{path}: no frame can be decoded{hint(path)}")
        _check_size(path, (frame.width, frame.height), aspect, pixels)
        stored = frame.format.name
        form = av.VideoFormat(working_format(stored), frame.width, frame.height)
        rgb = frame.format.is_rgb  # read as BT.709 in the limited range
        color_range = 1 if rgb else int(context.color_range)
        rate = stream.average_rate or 25
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
            "hdr": hdr.static(frame),
        }


def check(frame: av.VideoFrame, path: str | Path) -> None:
    """Raise UserError, with the command that mends it, for a frame that is interlaced or shown mirrored."""
    if frame.interlaced_frame:
        fault, cure = "it is interlaced; make it progressive", " -vf bwdif=mode=send_frame"
    elif _mirrored(frame):
        fault, cure = "it is shown mirrored; write it as it is shown", ""
    else:
        return
    command = f"ffmpeg -i {shlex.quote(str(path))}{cure} -c:v libx264 -crf 12 -c:a copy new.mkv"
    raise UserError(f"{path}: {fault}: `{command}`")


def _check_size(path: str | Path, size: tuple[int, int], aspect: Fraction, pixels: int) -> None:
    """Raise UserError if a frame of that size has too many pixels once they are square (orientation.upright_size)."""
    count = round(size[0] * size[1] * max(aspect, 1 / aspect))
    if count > pixels:
        raise UserError(
            f"{path}: a frame has {count:,} pixels, limits.pixels is {pixels:,}: "
            "scale the video down, or raise the limit"
        )


def _mirrored(frame: av.VideoFrame) -> bool:
    """Whether the frame's display matrix does more than to turn it."""
    matrix = frame.side_data.get("DISPLAYMATRIX")
    if not matrix:
        return False
    a, b, _, c, d, *_ = struct.unpack("=9i", bytes(matrix))
    return a * d < b * c


def shape(frame: av.VideoFrame) -> tuple[int, int, str]:
    """What all frames of a video have in common: width, height and working format."""
    return frame.width, frame.height, working_format(frame.format.name)


def working_format(pix_fmt: str) -> str:
    """The planar YUV format that frames of `pix_fmt` are read in: the same one wherever it is planar YUV."""
    name = pix_fmt.replace("yuvj", "yuv").replace("yuva", "yuv")
    if name.startswith("yuv4") and not name.endswith("be"):
        return name
    form = av.VideoFormat(name)
    if name.startswith(("nv12", "nv21")):
        return "yuv420p"
    return "yuv444p" if form.components[0].bits <= 8 else "yuv444p12le"


def frames(path: str | Path, first: int = 0, last: int | None = None, index: dict | None = None) -> Iterator:
    """Frames `first` to `last` (inclusive; None: to the end) as (number, av.VideoFrame), in presentation order.

    With `index` (index.json) they are its frames and no others, and may be sought instead of decoded from the start.
    Without it a damaged file is a UserError, for its frames cannot be counted.
    """
    if index is None:
        yield from islice(_undamaged(path), first, None if last is None else last + 1)
        return
    pts, due = index["pts"], first
    last = len(pts) - 1 if last is None else last
    for found in _ways(path, index, first):
        for frame in found:
            if frame.pts == pts[due]:
                yield due, frame
                if due == last:
                    return
                due += 1
            elif frame.pts is not None and frame.pts > pts[due]:
                break
    raise UserError(f"{path}: frame {due} is gone: the file has changed since it was read first; run again")


def decoded(path: str | Path, troubles: list[Trouble]) -> Iterator[av.VideoFrame]:
    """Every frame that can be had, in presentation order; what cannot is added to `troubles`."""
    with opened(path) as container:
        yield from _decoded(container, _picture(container, path), troubles)
    if is_cut_off(path):
        troubles.append(Trouble(None, "the file is cut off"))


def _decoded(container: av.container.InputContainer, stream: av.VideoStream, troubles: list) -> Iterator[av.VideoFrame]:
    stream.thread_type = "SLICE"  # with a thread per frame, more is lost than the frame that cannot be decoded
    sent, shown, progressive = set(), set(), True
    for packet in _packets(container, stream, troubles):
        try:
            found = stream.decode(packet)
        except av.FFmpegError:
            troubles.append(Trouble(packet and packet.pts, "a frame cannot be decoded"))
            continue
        if packet and not packet.is_discard:
            sent.add(packet.pts)
        for frame in found:
            if frame.is_corrupt:
                troubles.append(Trouble(frame.pts, "a frame can be decoded in part only"))
            shown.add(frame.pts)
            progressive &= not frame.interlaced_frame
            yield frame
    if stream.codec_context.name in _FRAME_PER_PACKET and progressive:
        troubles += _lost(sent - {None}, shown - {None})


def _lost(sent: set[int], shown: set[int]) -> list[Trouble]:
    """Packets of which no frame came. Those before the first frame may lean on what was before the file's start."""
    first = min(shown, default=math.inf)
    return [Trouble(pts, "a frame cannot be decoded") for pts in sorted(sent - shown) if pts > first]


def _packets(container: av.container.InputContainer, stream: av.VideoStream, troubles: list) -> Iterator:
    """A stream's packets, then None, which has the decoder give what it still holds."""
    # In MPEG-TS a mere joint of two recordings is taken for damage.
    doubtful = container.format.name == "mpegts"
    try:
        for packet in container.demux(stream):
            if packet.is_corrupt and not doubtful:
                troubles.append(Trouble(packet.pts, "a frame's data are incomplete"))
            elif packet.size:
                yield packet
    except av.FFmpegError:
        troubles.append(Trouble(None, "the file cannot be read to its end"))
    yield None


def _undamaged(path: str | Path) -> Iterator[tuple[int, av.VideoFrame]]:
    """The frames of a file and their numbers; an error where it is damaged."""
    troubles: list[Trouble] = []
    number = -1
    for number, frame in enumerate(decoded(path, troubles)):
        if troubles:
            break
        yield number, frame
    if troubles:
        raise UserError(f"{path}: damaged near frame {number}: {troubles[0].reason}; get a whole copy")


def _ways(path: str | Path, index: dict, first: int) -> Iterator[Iterator[av.VideoFrame]]:
    """Ways to the frames from `first`, or from earlier ones, on: the fast one, then the one that made index.json.

    What a decoder makes of damaged frames depends on those before, so that a damaged file is never sought in.
    """
    if not index["damage"]:
        yield _sought(path, index["pts"][first] if first else None)
    yield decoded(path, [])


def _sought(path: str | Path, time: int | None) -> Iterator[av.VideoFrame]:
    """Frames from the start, or from a key frame before `time` on, as far as all is well."""
    with opened(path) as container, suppress(av.FFmpegError):
        stream = _picture(container, path)
        stream.thread_type = "AUTO"
        if time is not None:
            container.seek(time, stream=stream)
        yield from container.decode(stream)


def planes(frame: av.VideoFrame, facts: dict) -> list[np.ndarray]:
    """Y, U and V of a frame in its working format: uint8, or uint16 for more than 8 bits."""
    if working_format(frame.format.name) == frame.format.name.replace("yuvj", "yuv"):
        source = frame
    elif frame.format.is_rgb:
        source = REFORMATTER.reformat(frame, format=facts["format"], dst_colorspace=1, dst_color_range=1)
    else:
        source = REFORMATTER.reformat(frame, format=facts["format"])
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
        return REFORMATTER.reformat(frame, format="gray").to_ndarray()
    offset, span, _ = Format.of(facts).scale
    return to_uint8((planes(frame, facts)[0] - np.float32(offset)) / np.float32(span))


def rgb8(frame: av.VideoFrame, facts: dict) -> np.ndarray:
    """The colours of a frame, uint8 RGB [H, W, 3] as stored."""
    return to_uint8(to_rgb(planes(frame, facts), Format.of(facts)))


def seconds(pts: list[int], facts: dict) -> list[float]:
    """Seconds since the first frame, per frame."""
    base = Fraction(*facts["time_base"])
    return [float((p - pts[0]) * base) for p in pts]


def file_url(path: str | Path) -> str:
    """A path as ffmpeg's file protocol, so that no name is taken for another protocol or an option."""
    return f"file:{path}"


def opened(path: str | Path, **options: str) -> av.container.InputContainer:
    """A video file, to be read with ffmpeg's options. Raises UserError if it is none."""
    if Path(path).exists() and not Path(path).is_file():
        raise UserError(f"{path}: not a video that can be read (it is a folder, a pipe or a device)")
    try:
        return av.open(file_url(path), options={"format_whitelist": KINDS, **options}, metadata_errors="replace")
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except av.ArgumentError:
        raise UserError(f"{path}: not a video that can be read (of no kind that is known here){hint(path)}") from None
    except (av.FFmpegError, OSError) as error:
        raise UserError(f"{path}: not a video that can be read ({error.strerror}){hint(path)}") from None


def _picture(container: av.container.InputContainer, path: str | Path) -> av.VideoStream:
    """The first video stream that is no cover picture."""
    cover = av.stream.Disposition.attached_pic
    stream = next((s for s in container.streams.video if not s.disposition & cover), None)
    if stream is None:
        raise UserError(f"{path}: there is no picture in this file, only sound or data{hint(path)}")
    if stream.codec_context is None:
        raise UserError(f"{path}: not a video that can be read (its picture is in an unknown format){hint(path)}")
    return stream
