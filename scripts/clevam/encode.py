"""Writing the result: composited frames through ffmpeg, with the source's sound, subtitles, times and tags."""

import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import av
import ffmpeg
import imageio_ffmpeg

from clevam.errors import UserError

_LOSSLESS = {"libx264": {"qp": 0}, "libx265": {"x265-params": "lossless=1"}}
_TEXT_SUBTITLES = {"ass", "ssa", "subrip", "srt", "text", "webvtt"}


class Encoder:
    """A context that encodes frames into an mp4 file with everything else copied from the source.

    Frames reach ffmpeg as raw video in a NUT stream, which carries their exact presentation times.
    """

    def __init__(self, target: Path, source: str, facts: dict, settings: dict) -> None:
        """facts: of the source's video stream (video.probe); settings: config.Encode as a mapping."""
        self.facts = facts
        self.codec = settings["codec"]
        command = ffmpeg.compile(_job(target, source, facts, settings), imageio_ffmpeg.get_ffmpeg_exe())
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stderr=sys.stderr)
        self.pipe = av.open(self.process.stdin, "w", format="nut")
        self.stream = self.pipe.add_stream("rawvideo")
        self.stream.width, self.stream.height = facts["width"], facts["height"]
        self.stream.pix_fmt = facts["format"]
        self.stream.codec_context.time_base = self.stream.time_base = _time_base(facts)

    def write(self, frame: av.VideoFrame) -> None:
        """Append a frame in the facts' format; its pts is in units of the source's time base."""
        frame.time_base = _time_base(self.facts)
        try:
            self.pipe.mux(self.stream.encode(frame))
        except (BrokenPipeError, av.FFmpegError):
            self.process.wait()
            raise self._failure() from None

    def __enter__(self) -> "Encoder":
        return self

    def __exit__(self, kind: type | None, *_: object) -> None:
        if kind is not None:
            self.process.kill()
            self.process.wait()
            return
        try:
            self.pipe.mux(self.stream.encode(None))
            self.pipe.close()
            self.process.stdin.close()
        except (BrokenPipeError, av.FFmpegError):
            pass  # ffmpeg ended early; its exit status says why
        if self.process.wait():
            raise self._failure()

    def _failure(self) -> UserError:
        return UserError(f"encode: ffmpeg could not write the result with codec {self.codec}; its reason stands above")


def _job(target: Path, source: str, facts: dict, settings: dict):
    """The ffmpeg job: frames from the pipe, every other stream from the source as it is."""
    # Rotation is a tag: frames stay as they are stored, and the tag is put back.
    pipe = ffmpeg.input("pipe:0", format="nut", noautorotate=None, display_rotation=facts["rotation"])
    original = ffmpeg.input(_plain_file(source))
    streams = [pipe["v:0"], original["a?"]]
    subtitles = _subtitle_codec(source)
    if subtitles:
        streams.append(original["s"])
    options = {
        "c:v": settings["codec"],
        "pix_fmt": facts["format"],
        "preset": settings["preset"],
        "vf": _tags(facts),
        "fps_mode": "passthrough",
        "enc_time_base:v": "demux",
        "c:a": "copy",
        "map_metadata": 1,
        "map_chapters": 1,
        "movflags": "+faststart",
        "loglevel": "warning",
    }
    options |= _quality(settings)
    if subtitles:
        options["c:s"] = subtitles
    if facts["time_base"][0] == 1:
        options["video_track_timescale"] = facts["time_base"][1]
    job = ffmpeg.output(*streams, str(target), format="mp4", **options)
    return job.global_args("-copyts", "-nostdin", "-hide_banner").overwrite_output()


def _quality(settings: dict) -> dict:
    if not settings["lossless"]:
        return {"crf": settings["crf"]}
    try:
        return _LOSSLESS[settings["codec"]]
    except KeyError:
        raise UserError(f"encode.lossless: {settings['codec']} has none here; use {' or '.join(_LOSSLESS)}") from None


def _tags(facts: dict) -> str:
    """A filter chain that changes no sample and tags frames as the source is tagged."""
    colour = {"range": facts["color_range"], "colorspace": facts["colorspace"]}
    colour |= {"color_primaries": facts["primaries"], "color_trc": facts["transfer"]}
    aspect = "/".join(map(str, facts["sample_aspect"]))
    return f"setparams={':'.join(f'{k}={v}' for k, v in colour.items())},setsar={aspect}"


def _subtitle_codec(source: str) -> str | None:
    """How the source's subtitles go into mp4: `copy`, `mov_text`, or None if there are none that can."""
    with av.open(source) as container:
        codecs = {s.codec_context.name for s in container.streams.subtitles if s.codec_context}
    if codecs == {"mov_text"}:
        return "copy"
    return "mov_text" if codecs and codecs <= _TEXT_SUBTITLES | {"mov_text"} else None


def _plain_file(path: str) -> str:
    """A path as ffmpeg's file protocol, so that no name is taken for a protocol or an option."""
    return f"file:{path}"


def _time_base(facts: dict) -> Fraction:
    return Fraction(*facts["time_base"])
