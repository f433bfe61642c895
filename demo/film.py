"""Scenes of the toy world as files: the clip with sound, and its label maps as lossless video."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import av
import numpy as np

from grounds import smooth

if TYPE_CHECKING:
    from world import Scene

SAMPLE_RATE = 44_100  # Hz


def write_clip(scene: Scene, path: str | Path, crf: int = 20) -> None:
    """The scene as H.264 (yuv420p, BT.709, limited range) with a soft chord in AAC; crf: 0 best, 51 worst."""
    if scene.size[0] % 2 or scene.size[1] % 2:
        raise ValueError(f"size {scene.size} cannot be written as yuv420p: take an even height and an even width")
    with finished(path) as part, av.open(part, "w") as container:
        video = video_stream(container, scene, "libx264", "yuv420p", {"crf": str(crf), "preset": "slow"})
        bt709 = {"colorspace": 1, "color_primaries": 1, "color_trc": 1, "color_range": 1}
        for field, value in bt709.items():
            setattr(video.codec_context, field, value)
        sound = container.add_stream("aac", rate=SAMPLE_RATE, layout="mono")
        container.mux(sound.encode(chord(scene.frames / scene.fps)) + sound.encode(None))
        for t in range(scene.frames):
            frame = av.VideoFrame.from_ndarray(scene.frame(t), "rgb24")
            write_frame(container, video, frame.reformat(format="yuv420p", dst_colorspace=1, dst_color_range=1), t)
        container.mux(video.encode(None))


def write_masks(scene: Scene, path: str | Path, only: int | None = None) -> None:
    """The label maps as lossless gray video (FFV1): label k of N has the value round(255 k / N).

    With `only`, that object's visible part in white on black instead.

    Frame t is shown at t / fps, as in the clip; a .mkv rounds that to its clock of one millisecond.
    """
    with finished(path) as part, av.open(part, "w") as container:
        video = video_stream(container, scene, "ffv1", "gray", {})
        for t in range(scene.frames):
            labels = scene.labels(t)
            share = labels / len(scene.things) if only is None else labels == only
            values = np.rint(255 * share).astype(np.uint8)
            write_frame(container, video, av.VideoFrame.from_ndarray(values, "gray"), t)
        container.mux(video.encode(None))


def video_stream(
    container: av.container.OutputContainer, scene: Scene, codec: str, pix_fmt: str, options: dict[str, str]
) -> av.VideoStream:
    """A new stream whose clock ticks once a frame."""
    stream = container.add_stream(codec, rate=scene.fps, options=options)
    stream.height, stream.width = scene.size
    stream.pix_fmt = pix_fmt
    stream.codec_context.time_base = 1 / scene.fps
    return stream


def write_frame(container: av.container.OutputContainer, stream: av.VideoStream, frame: av.VideoFrame, t: int) -> None:
    frame.pts, frame.time_base = t, stream.codec_context.time_base
    container.mux(stream.encode(frame))


def chord(seconds: Fraction) -> av.AudioFrame:
    """An A major chord with a slow pulse, faded in and out: float32 mono in [-1, 1]."""
    time = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    tones = sum(np.sin(2 * np.pi * hertz * time) for hertz in (220.0, 277.18, 329.63))
    fade = smooth(np.minimum(time, float(seconds) - time) / 0.2)
    wave = 0.12 * tones * fade * (0.75 + 0.25 * np.cos(2 * np.pi * time))
    frame = av.AudioFrame.from_ndarray(wave.astype(np.float32)[None], "fltp", "mono")
    frame.sample_rate, frame.pts, frame.time_base = SAMPLE_RATE, 0, Fraction(1, SAMPLE_RATE)
    return frame


@contextmanager
def finished(path: str | Path) -> Iterator[str]:
    """A name beside `path` to write to; it becomes `path` on success and disappears on an error."""
    path = Path(path)
    part = path.with_name(f".{path.stem}.part{path.suffix}")
    try:
        yield str(part)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
