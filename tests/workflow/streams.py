"""What is in a video file, read afresh for every question."""

import hashlib
from fractions import Fraction
from pathlib import Path

import av
import numpy as np


def frames(path: Path) -> list[list[np.ndarray]]:
    """The planes of every 8-bit frame, as stored."""
    with av.open(str(path)) as container:
        return [
            [np.frombuffer(p, np.uint8).reshape(p.height, p.line_size)[:, : p.width].copy() for p in frame.planes]
            for frame in container.decode(video=0)
        ]


def times(path: Path) -> list[Fraction]:
    """The presentation time of every frame, in seconds."""
    with av.open(str(path)) as container:
        return [frame.pts * frame.time_base for frame in container.decode(video=0)]


def duration(path: Path) -> tuple[Fraction, Fraction]:
    """How long the picture lasts, the last frame included, in seconds; and its average rate."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        return stream.duration * stream.time_base, stream.average_rate


def packets(path: Path, kind: str) -> list[tuple]:
    """(time, digest) of every packet of the first stream of a kind, `audio` or `subtitle`."""
    with av.open(str(path)) as container:
        stream = getattr(container.streams, kind)[0]
        found = [p for p in container.demux(stream) if p.size]
        return [(p.pts * p.time_base, hashlib.sha256(bytes(p)).hexdigest()) for p in found]


def tags(path: Path) -> dict:
    """Size, sample aspect and colour tags."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        codec = stream.codec_context
        colour = (codec.color_range, codec.colorspace, codec.color_primaries, codec.color_trc)
        aspect = stream.sample_aspect_ratio or Fraction(1)
        return {"size": (codec.width, codec.height), "aspect": aspect, "colour": [int(c) for c in colour]}


def changed(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """True where two planes differ."""
    return before != after
