"""Which frames are edited: shots, keyframes and blocks of a video, written down in index.json."""

import math
import shlex
import sys
from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping
from itertools import pairwise
from pathlib import Path
from types import MappingProxyType
from typing import Any

import av
import numpy as np
from scenedetect import ContentDetector, FrameTimecode
from tqdm import tqdm

from clevam import images, video
from clevam.damage import Trouble, describe
from clevam.errors import UserError
from clevam.files import replacing, sha256, write_json
from clevam.orientation import upright, upright_size


def index(
    path: str, target: str, *, method: dict, cut_threshold: float, span: list[float] | None, strict: bool, block: int,
    adaptive: Any = None, limits: Mapping[str, float] = MappingProxyType({}),
) -> None:  # fmt: skip
    """Write index.json for the video at `path`.

    method: one of {"every": frames}, {"seconds": s}, {"count": n}, {"frames": [...]}; span: [start, end] in seconds or
    None for all; strict: raise UserError if the file is damaged; block: frames per block; adaptive: instead of the
    method, an adaptive.Adaptive, which has seen nothing yet; limits: `frames` and `seconds` of the video and `pixels`
    of a frame, at most (config.Limits); beyond is a UserError. The index holds `source` {path, size, sha256}, `stream`
    (video.probe, with the `upright` [width, height]), `pts` of every frame in units of the stream's time base, `shots`
    as [first, last] frames, `segments` (the parts of shots inside the span), `keyframes` as six-digit frame numbers,
    `reach`: of each that `adaptive` chose the pixels by which things move until the next, `blocks`: for every block
    that holds frames of a segment, its keyframes, and `damage`: None or {last_good, the time in seconds of the last
    frame before it, and reason}.
    """
    facts = video.probe(path, **{key: limits[key] for key in limits if key == "pixels"})

    def watch(pts: list[int], frame: av.VideoFrame, cut: bool) -> None:
        length = video.seconds(pts[:1] + pts[-1:], facts)[1]
        _check_limits(path, len(pts), length, limits)
        if adaptive and within(span, length):
            adaptive.see(len(pts) - 1, frame, facts, cut)

    pts, shots, troubles = scan(path, cut_threshold, watch)
    times = video.seconds(pts, facts)
    damage = damage_of(troubles, pts, times)
    if damage and strict:
        raise UserError(f"{describe(path, damage)}; get a whole copy, or edit what is there without `strict: true`")
    if damage:
        print(f"warning: {describe(path, damage)}; what can be decoded is edited", file=sys.stderr)
    segments = clip(shots, times, span)
    chosen = choose(segments, times, {"adaptive": list(adaptive.reach)} if adaptive else method)
    names = [f"{i:06d}" for i in chosen]
    numbers = sorted({i // block for first, last in segments for i in range(first, last + 1)})
    write_json(
        target,
        {
            "source": {"path": path, "size": Path(path).stat().st_size, "sha256": sha256(path)},
            "stream": facts | {"upright": list(upright_size(facts))},
            "pts": pts,
            "shots": shots,
            "segments": segments,
            "keyframes": names,
            "reach": {f"{i:06d}": far for i, far in adaptive.reach.items()} if adaptive else {},
            "blocks": {f"{b:04d}": [n for n in names if int(n) // block == b] for b in numbers},
            "damage": damage,
        },
    )


def _check_limits(path: str, frames: int, length: float, limits: Mapping[str, float]) -> None:
    """Raise UserError for more frames, or a longer time in seconds, than is allowed."""
    for key, value in {"frames": frames, "seconds": length}.items():
        if value > limits.get(key, math.inf):
            raise UserError(
                f"{path}: goes on beyond limits.{key}, {limits[key]:,}: give a part of it, or raise limits.{key}"
            )


def scan(
    path: str, cut_threshold: float, watch: Callable[[list[int], av.VideoFrame, bool], None] = lambda *_: None
) -> tuple[list[int], list[list[int]], list[Trouble]]:
    """The presentation time of every frame, the shots as [first, last], and what is damaged, in one pass.

    watch: is shown the times so far, each frame, and whether a shot begins with it.
    """
    detector = ContentDetector(threshold=cut_threshold, min_scene_len=1)
    pts, cuts, troubles, first = [], [], [], None
    for frame in tqdm(video.decoded(path, troubles), desc="keyframes: scan", unit="frame"):
        i = len(pts)
        # Where data are missing, a decoder may put frames at times that are over.
        if troubles and pts and (frame.pts is None or frame.pts <= pts[-1]):
            continue
        video.check(frame, path)
        first = first or video.shape(frame)
        if video.shape(frame) != first:
            raise UserError(
                f"{path}: frame {i} is of another size or format than the first; make them one: "
                f"`ffmpeg -i {shlex.quote(path)} -c:v libx264 -crf 12 -c:a copy new.mkv`"
            )
        if frame.pts is None:
            cure = f"`ffmpeg -fflags +genpts -i {shlex.quote(path)} -c copy new.mkv`"
            raise UserError(f"{path}: frame {i} has no time; repair with {cure}")
        pts.append(frame.pts)
        small = video.REFORMATTER.reformat(frame, width=256, height=_height(frame), format="bgr24")
        # The rate is a formality here: frames are counted, never timed.
        cuts += [c.frame_num for c in detector.process_frame(FrameTimecode(i, fps=25.0), small.to_ndarray())]
        watch(pts, frame, cuts[-1:] == [i])
    if any(b <= a for a, b in pairwise(pts)):
        cure = f"`ffmpeg -i {shlex.quote(path)} -c:v ffv1 new.mkv`"
        raise UserError(f"{path}: its frames' times do not increase; repair with {cure}")
    starts = [0, *sorted(set(cuts) - {0})]
    return pts, [[a, b - 1] for a, b in pairwise([*starts, len(pts)])], troubles


def _height(frame: av.VideoFrame) -> int:
    """Of a small picture, 256 pixels wide; what is very tall is made less so."""
    return min(max(16, 256 * frame.height // frame.width), 1024)


def damage_of(troubles: list[Trouble], pts: list[int], times: list[float]) -> dict | None:
    """The time of the last frame before the first trouble, in seconds, and all that is wrong; None if nothing is."""
    if not troubles:
        return None
    good = min(bisect_left(pts, t.pts) if t.pts is not None else len(pts) for t in troubles)
    return {"last_good": times[max(good - 1, 0)], "reason": ", ".join(dict.fromkeys(t.reason for t in troubles))}


def clip(shots: list[list[int]], times: list[float], span: list[float] | None) -> list[list[int]]:
    """The parts of the shots inside [start, end] seconds."""
    if span is None:
        return shots
    inside = [i for i, t in enumerate(times) if within(span, t)]
    if not inside:
        raise UserError(f"range {span} holds no frame: the video runs from 0 to {times[-1]:.3f} s")
    pieces = [[max(a, inside[0]), min(b, inside[-1])] for a, b in shots]
    return [[a, b] for a, b in pieces if a <= b]


def within(span: list[float] | None, time: float) -> bool:
    return span is None or span[0] <= time <= span[1]


def choose(segments: list[list[int]], times: list[float], method: dict) -> list[int]:
    """Frame numbers to edit: those of the method, and the first and last of every segment, so that every frame of a
    segment lies between two keyframes of the same shot. With {"adaptive": frames} the last is none where nothing but
    the first is chosen."""
    (kind, value), *_ = method.items()
    if kind == "adaptive":
        lasts = {last for first, last in segments if any(first < i <= last for i in value)}
        return sorted({*value, *(first for first, _ in segments), *lasts})
    inside = [i for first, last in segments for i in range(first, last + 1)]
    ends = {i for segment in segments for i in segment}
    if kind == "every":
        picked = {i for first, last in segments for i in range(first, last + 1, value)}
    elif kind == "seconds":
        picked = {i for segment in segments for i in _spaced(segment, times, value)}
    elif kind == "count":
        picked = {inside[round(k)] for k in np.linspace(0, len(inside) - 1, min(value, len(inside)))}
    else:
        if missing := sorted(set(value) - set(inside)):
            raise UserError(
                f"keyframes.frames: {missing[0]} is not a frame of the edited range ({inside[0]} to {inside[-1]})"
            )
        picked = set(value)
    return sorted(picked | ends)


def _spaced(segment: list[int], times: list[float], step: float) -> Iterable[int]:
    """The first frame at or after every multiple of `step` seconds into the segment."""
    first, last = segment
    due = times[first]
    for i in range(first, last + 1):
        if times[i] >= due - 1e-9:
            yield i
            due = times[first] + step * (int((times[i] - times[first] + 1e-9) / step) + 1)


def extract(path: str, target: str, *, index: dict, names: list[str]) -> None:
    """Write the keyframes `names` as upright RGB pictures <name>.png into the folder `target`."""
    wanted = [int(n) for n in names]
    facts = index["stream"]
    with replacing(target) as folder:
        folder.mkdir()
        for i, frame in video.frames(path, wanted[0], wanted[-1], index):
            if i in wanted:
                images.write_png(folder / f"{i:06d}.png", upright(video.rgb8(frame, facts), facts))
