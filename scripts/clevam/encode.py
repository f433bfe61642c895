"""Writing the result: composited frames through ffmpeg, with the source's sound, subtitles, times and tags."""

import re
import subprocess
import sys
from contextlib import suppress
from fractions import Fraction
from pathlib import Path

import av
import ffmpeg
import imageio_ffmpeg

from clevam.errors import UserError
from clevam.video import file_url

_LOSSLESS = {"libx264": {"qp": 0}, "libx265": {"x265-params": "lossless=1"}, "ffv1": {}}
_TEXT_SUBTITLES = {"ass", "ssa", "subrip", "srt", "text", "webvtt"}


class Encoder:
    """A context that encodes frames into an mp4 file with everything else copied from the source.

    Frames reach ffmpeg as raw video in a NUT stream, which carries their exact presentation times.
    """

    def __init__(self, target: Path, source: str, facts: dict, settings: dict, *, damaged: bool = False) -> None:
        """facts: of the source's video stream (video.probe); settings: config.Encode as a mapping; damaged: leave out
        what is incomplete of the source's sound."""
        self.facts = facts
        self.what = f"{facts['format']} by {settings['codec']} (preset {settings['preset']}), with the source's sound,"
        command = ffmpeg.compile(_job(target, source, facts, settings, damaged), imageio_ffmpeg.get_ffmpeg_exe())
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stderr=sys.stderr)
        self.pipe = av.open(self.process.stdin, "w", format="nut")
        self.stream = self.pipe.add_stream("rawvideo", rate=Fraction(*facts["rate"]))  # lasts the last frame
        self.stream.width, self.stream.height = facts["width"], facts["height"]
        self.stream.pix_fmt = facts["format"]
        self.stream.codec_context.time_base = self.stream.time_base = _time_base(facts)

    def write(self, frame: av.VideoFrame) -> None:
        """Append a frame in the facts' format; its pts is in units of the source's time base."""
        frame.time_base = _time_base(self.facts)
        try:
            self.pipe.mux(self.stream.encode(frame))
        except BrokenPipeError:
            self.process.wait()
            raise self._failure() from None

    def __enter__(self) -> "Encoder":
        return self

    def __exit__(self, kind: type | None, *_: object) -> None:
        if kind is not None:
            self.process.kill()
        # Where ffmpeg ended early, its exit status says why.
        for end in (self.pipe.close, self.process.stdin.close):
            with suppress(BrokenPipeError, av.FFmpegError):
                end()
        if self.process.wait() and kind is None:
            raise self._failure()

    def _failure(self) -> UserError:
        return UserError(f"encode: ffmpeg could not write {self.what} to mp4; its reason stands above")


def _job(target: Path, source: str, facts: dict, settings: dict, damaged: bool):
    """The ffmpeg job: frames from the pipe, every other stream from the source as it is."""
    # Rotation is a tag: frames stay as they are stored, and the tag is put back.
    pipe = ffmpeg.input("pipe:0", format="nut", noautorotate=None, display_rotation=facts["rotation"])
    original = ffmpeg.input(file_url(source), **({"fflags": "+discardcorrupt"} if damaged else {}))
    streams = [pipe["v:0"], original["a?"]]
    subtitles = _subtitles(source)
    streams += [original[f"s:{k}"] for k in subtitles]
    options = {
        "c:v": settings["codec"],
        # With a plus, ffmpeg takes no other format for one that the codec lacks.
        "pix_fmt": f"{'+' if settings['lossless'] else ''}{facts['format']}",
        "vf": _tags(facts),
        "fps_mode": "passthrough",
        "enc_time_base:v": "/".join(map(str, facts["time_base"])),
        "c:a": "copy",
        "map_metadata": 1,
        "map_chapters": 1,
        "movflags": "+faststart",
        "loglevel": "warning",
    }
    options |= _quality(settings)
    options |= {f"c:s:{n}": codec for n, codec in enumerate(subtitles.values())}
    if facts["time_base"][0] == 1:
        options["video_track_timescale"] = facts["time_base"][1]
    job = ffmpeg.output(*streams, file_url(target), format="mp4", **options)
    return job.global_args("-copyts", "-nostdin", "-hide_banner").overwrite_output()


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


def _subtitles(source: str) -> dict[int, str]:
    """The source's subtitles that go into an mp4, {number: codec}; pictures of text do not."""
    kept = {}
    with av.open(file_url(source)) as container:
        for k, stream in enumerate(container.streams.subtitles):
            name = stream.codec_context.name if stream.codec_context else "unknown"
            if name == "mov_text" or name in _TEXT_SUBTITLES:
                kept[k] = "copy" if name == "mov_text" else "mov_text"
            else:
                print(f"subtitles {k} ({name}) are left out: mp4 has no place for them", file=sys.stderr)
    return kept


def _time_base(facts: dict) -> Fraction:
    return Fraction(*facts["time_base"])
