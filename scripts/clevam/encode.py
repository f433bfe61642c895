"""The picture's stretches: composited frames through ffmpeg, encoded as they are tagged in the source."""

import difflib
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from fractions import Fraction
from pathlib import Path

import av
import ffmpeg
import imageio_ffmpeg

from clevam.errors import UserError
from clevam.video import file_url

_LOSSLESS = {"libx264": {"qp": 0}, "libx265": {"x265-params": "lossless=1"}, "ffv1": {}}
# What `encode.extra` may say: an encoder's own options of these kinds, these of its texts, and some that all have.
_VALUES = {"int", "int64", "float", "double", "boolean", "rational"}
_TEXTS = {"tune", "profile", "level", "psy-rd", "deblock", "partitions"}
_GENERIC = {
    "bf", "bufsize", "g", "keyint_min", "level", "maxrate", "me_range", "profile", "qcomp", "qdiff", "qmax", "qmin",
    "refs", "slices", "subq", "trellis",
}  # fmt: skip


@contextmanager
def encoder(target: Path, facts: dict, settings: dict) -> Iterator[Callable[[av.VideoFrame], None]]:
    """Yield a function that appends a frame to the stretch `target` (NUT), in the facts' format and in order of pts.

    facts: of the source's video stream (video.probe), its time base included; settings: config.Encode as a mapping.
    Frames reach ffmpeg as raw video in a NUT stream, which carries their exact times since the stretch's first.
    """
    what = f"{settings['pix_fmt'] or facts['format']} by {settings['codec']} (preset {settings['preset']})"
    with fed(_job(target, facts, settings), "nut", what) as pipe:
        stream = pipe.add_stream("rawvideo", rate=Fraction(*facts["rate"]))  # lasts the last frame
        stream.width, stream.height = facts["width"], facts["height"]
        stream.pix_fmt = facts["format"]
        stream.codec_context.time_base = stream.time_base = Fraction(*facts["time_base"])

        start = None

        def write(frame: av.VideoFrame) -> None:
            nonlocal start
            start = frame.pts if start is None else start
            frame.pts, frame.time_base = frame.pts - start, stream.codec_context.time_base
            pipe.mux(stream.encode(frame))

        yield write


@contextmanager
def fed(job, form: str, what: str, **options: str) -> Iterator[av.container.OutputContainer]:
    """Yield a container in the format `form` that an ffmpeg job reads from its standard input.

    what: is being written, for the UserError if it cannot be.
    """
    command = ffmpeg.compile(job, imageio_ffmpeg.get_ffmpeg_exe(), overwrite_output=True)
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stderr=sys.stderr)
    pipe = av.open(process.stdin, "w", format=form, options=options)
    try:
        yield pipe
    except BrokenPipeError:
        pass  # ffmpeg ended early: its exit status says why
    except BaseException:
        process.kill()
        raise
    finally:
        for end in (pipe.close, process.stdin.close):
            with suppress(BrokenPipeError, av.FFmpegError):
                end()
        process.wait()
    if process.returncode:
        raise UserError(f"encode: ffmpeg could not write {what}; its reason stands above")


def _job(target: Path, facts: dict, settings: dict):
    """The ffmpeg job that encodes what comes through the pipe."""
    known, formats = _encoder(settings["codec"])
    options = {
        "c:v": settings["codec"],
        "pix_fmt": _pix_fmt(facts, settings, formats),
        "vf": _tags(facts),
        "fps_mode": "passthrough",
        "enc_time_base:v": "/".join(map(str, facts["time_base"])),
        "loglevel": "warning",
    }
    options |= _quality(settings, known) | _extra(settings, known)
    pipe = ffmpeg.input("pipe:0", format="nut", **facts["hdr"])
    job = ffmpeg.output(pipe["v:0"], file_url(target), format="nut", **options)
    return job.global_args("-copyts", "-nostdin", "-hide_banner")


def _pix_fmt(facts: dict, settings: dict, formats: list[str]) -> str:
    """The format to encode in; formats: what the codec can."""
    asked, own = settings["pix_fmt"] or facts["format"], facts["format"]
    if settings["lossless"]:
        if asked != own:
            raise UserError(f"encode.pix_fmt: {asked} is not lossless for a source in {own}; leave one out")
        return f"+{own}"  # with a plus, ffmpeg takes no other format for one that the codec lacks
    if settings["pix_fmt"] and asked not in formats:
        able = ", ".join(name for name in formats if name.startswith("yuv4"))
        raise UserError(f"encode.pix_fmt: {settings['codec']} cannot write {asked}; it can write {able or 'none'}")
    return asked


def _quality(settings: dict, known: dict) -> dict:
    """Quality and speed in the words of the codec: encoders differ in which options they have."""
    codec, crf = settings["codec"], settings["crf"]
    speed = {"preset": settings["preset"]} if "preset" in known else {}
    if settings["lossless"]:
        if codec not in _LOSSLESS:
            raise UserError(f"encode.lossless: {codec} has none here; use {' or '.join(_LOSSLESS)}")
        return speed | _LOSSLESS[codec]
    for name in ("crf", "cq", "qp"):
        if name in known:
            return speed | {name: crf}
    # Older codecs count in quantiser steps; the relation is x264's (qp2qscale in encoder/ratecontrol.c).
    return speed | {"q:v": max(1, 0.85 * 2 ** ((crf - 12) / 6))}


def _extra(settings: dict, known: dict) -> dict:
    """The options of `encode.extra`, none of which opens a file or touches anything but the picture's coding."""
    # Text may name a file, or hold options of its own which do.
    free = {name for name, kind in known.items() if kind in _VALUES or (kind == "string" and name in _TEXTS)}
    free |= _GENERIC
    free -= {"preset", "crf", "cq", "qp"}  # said by keys of their own
    for name in settings["extra"]:
        if name not in free:
            near = difflib.get_close_matches(name, free, 1)
            hint = f"did you mean {near[0]}?" if near else "`ffmpeg -h encoder=" + settings["codec"] + "` names them"
            raise UserError(f"encode.extra: {settings['codec']} has no option {name} that may be set here; {hint}")
    return {f"{name}:v": int(v) if isinstance(v, bool) else v for name, v in settings["extra"].items()}


def _encoder(codec: str) -> tuple[dict[str, str], list[str]]:
    """An encoder's own options {name: kind of its values}, and the pixel formats that it takes."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-hide_banner", "-h", f"encoder={codec}"]
    text = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True).stdout
    formats = re.search(r"Supported pixel formats: (.*)", text)
    if not formats:
        raise UserError(f"encode.codec: ffmpeg has no video encoder {codec}; the usual ones are libx264 and libx265")
    return dict(re.findall(r"^  -(\S+) +<(\w+)>", text, re.MULTILINE)), formats[1].split()


def _tags(facts: dict) -> str:
    """A filter chain that changes no sample and tags frames as the source is tagged."""
    # -1 leaves it as it is: ffmpeg would convert frames that are said to have no range.
    colour = {"range": facts["color_range"] or -1, "colorspace": facts["colorspace"]}
    colour |= {"color_primaries": facts["primaries"], "color_trc": facts["transfer"]}
    aspect = "/".join(map(str, facts["sample_aspect"]))
    return f"setparams={':'.join(f'{k}={v}' for k, v in colour.items())},setsar={aspect}"
