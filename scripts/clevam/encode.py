"""The picture's stretches: composited frames through ffmpeg, encoded as they are tagged in the source."""

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


@contextmanager
def encoder(target: Path, facts: dict, settings: dict) -> Iterator[Callable[[av.VideoFrame], None]]:
    """Yield a function that appends a frame to the stretch `target` (NUT), in the facts' format and at its pts.

    facts: of the source's video stream (video.probe), its time base included; settings: config.Encode as a mapping.
    Frames reach ffmpeg as raw video in a NUT stream, which carries their exact presentation times.
    """
    what = f"{facts['format']} by {settings['codec']} (preset {settings['preset']})"
    with fed(_job(target, facts, settings), "nut", what) as pipe:
        stream = pipe.add_stream("rawvideo", rate=Fraction(*facts["rate"]))  # lasts the last frame
        stream.width, stream.height = facts["width"], facts["height"]
        stream.pix_fmt = facts["format"]
        stream.codec_context.time_base = stream.time_base = Fraction(*facts["time_base"])

        def write(frame: av.VideoFrame) -> None:
            frame.time_base = stream.codec_context.time_base
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
    options = {
        "c:v": settings["codec"],
        # With a plus, ffmpeg takes no other format for one that the codec lacks.
        "pix_fmt": f"{'+' if settings['lossless'] else ''}{facts['format']}",
        "vf": _tags(facts),
        "fps_mode": "passthrough",
        "enc_time_base:v": "/".join(map(str, facts["time_base"])),
        "loglevel": "warning",
    }
    pipe = ffmpeg.input("pipe:0", format="nut")
    job = ffmpeg.output(pipe["v:0"], file_url(target), format="nut", **options | _quality(settings))
    return job.global_args("-copyts", "-nostdin", "-hide_banner")


def _quality(settings: dict) -> dict:
    """Quality and speed in the words of the codec: encoders differ in which options they have."""
    codec, crf = settings["codec"], settings["crf"]
    known = _encoder_options(codec)
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


def _encoder_options(codec: str) -> set[str]:
    """The names of an encoder's own options."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-hide_banner", "-h", f"encoder={codec}"]
    text = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True).stdout
    if "Supported pixel formats" not in text:
        raise UserError(f"encode.codec: ffmpeg has no video encoder {codec}; the usual ones are libx264 and libx265")
    return set(re.findall(r"^  -(\S+) ", text, re.MULTILINE))


def _tags(facts: dict) -> str:
    """A filter chain that changes no sample and tags frames as the source is tagged."""
    # -1 leaves it as it is: ffmpeg would convert frames that are said to have no range.
    colour = {"range": facts["color_range"] or -1, "colorspace": facts["colorspace"]}
    colour |= {"color_primaries": facts["primaries"], "color_trc": facts["transfer"]}
    aspect = "/".join(map(str, facts["sample_aspect"]))
    return f"setparams={':'.join(f'{k}={v}' for k, v in colour.items())},setsar={aspect}"
