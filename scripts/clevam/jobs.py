"""What a configuration asks for: clips are decoded, finds are located in a clip, jobs are written to out/.

Each holds just the plain values that its stages use, so that a changed key touches its own stages and no others. Ten
edits of one clip share the clip, and the find too, unless they look for something else.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from clevam.config import (
    Box,
    Config,
    Edit,
    Encode,
    Flow,
    Keyframes,
    Masks,
    Models,
    Plan,
    Region,
    Runtime,
    Section,
    Variant,
    Video,
    parse,
)
from clevam.errors import UserError


@dataclass(frozen=True)
class Clip:
    """A source video: what the keyframes stage uses."""

    path: str
    keyframes: dict[str, Any]


@dataclass(frozen=True)
class Find:
    """What is located in a clip: masks, plan and flow are shared by all jobs that find the same."""

    video: str
    regions: list[dict[str, Any]]
    masks: dict[str, Any]
    plan: dict[str, Any]
    flow: dict[str, Any]


@dataclass(frozen=True)
class Job:
    """One result, out/<job>.mp4."""

    video: str
    find: str
    replace: list[str]
    feather: int
    edit: dict[str, Any]
    encode: dict[str, Any]


@dataclass(frozen=True)
class Resolved:
    """Everything a configuration asks for, by name."""

    clips: dict[str, Clip]
    finds: dict[str, Find]
    jobs: dict[str, Job]
    models: Models
    runtime: Runtime

    def describe(self) -> dict[str, Any]:
        """Everything as plain values, defaults filled in."""
        plain = {key: {n: vars(v) for n, v in getattr(self, key).items()} for key in ("clips", "finds", "jobs")}
        return plain | {"models": self.models.model_dump(), "runtime": self.runtime.model_dump()}


def resolve(raw: Mapping[str, Any]) -> Resolved:
    """The clips, finds and jobs that a configuration asks for. Raises UserError."""
    config = parse(raw)
    clips, finds, jobs = {}, {}, {}
    for name, video in config.videos.items():
        keyframes = _merged(Keyframes, config.keyframes, video.keyframes)
        clips[name] = Clip(video.path, _keyframe_values(keyframes, video.range))
        for job, variant in _variants(name, video):
            if job in jobs or (job != name and job in config.videos):
                raise UserError(f"videos: two entries write out/{job}.mp4; rename the video or the edit")
            find, jobs[job] = _job(config, name, video, job, variant, finds)
            finds.setdefault(jobs[job].find, find)
    return Resolved(clips, finds, jobs, config.models, config.runtime)


def _variants(name: str, video: Video) -> list[tuple[str, Variant]]:
    """The edits of a clip by job name: the clip's own, if it has a `replace`, then those under `edits`."""
    own = [(name, Variant())] if _replaces(video) or not video.edits else []
    return own + [(f"{name}.{edit}", variant) for edit, variant in video.edits.items()]


def _replaces(video: Video) -> bool:
    return video.replace is not None or any(r.replace for r in video.regions or [])


def _job(config: Config, name: str, video: Video, job: str, variant: Variant, finds: dict) -> tuple[Find, Job]:
    def section(model: type[Section], key: str) -> dict[str, Any]:
        return _merged(model, getattr(config, key), getattr(video, key), getattr(variant, key)).model_dump()

    regions = _regions(job, video, variant)
    masks = section(Masks, "masks")
    _check_masks(job, masks, regions)
    where = [{"find": r.find, "box": _plain(r.box) if masks["method"] == "box" else None} for r in regions]
    find = Find(name, where, masks, section(Plan, "plan"), section(Flow, "flow"))
    # An edit that looks for the same thing in the same way shares the clip's masks; any other gets its own.
    shared = name if finds.get(name, find) == find else job
    replace = [r.replace or "" for r in regions]
    return find, Job(name, shared, replace, masks["feather"], section(Edit, "edit"), section(Encode, "encode"))


def _regions(job: str, video: Video, variant: Variant) -> list[Region]:
    """The regions of a job: the variant's own, or the clip's with the variant's words put in."""
    regions = variant.regions or video.regions
    single = {k: v for k in ("find", "replace", "box") for v in [getattr(video, k)] if v is not None}
    changed = {k: v for k in ("find", "replace", "box") for v in [getattr(variant, k)] if v is not None}
    if regions and (changed or single):
        raise UserError(f"videos: {job}: give either `regions` or {', '.join(changed or single)}, not both")
    if not regions:
        if "find" not in single | changed:
            raise UserError(f"videos: {job}: `find` is missing: say what is to be replaced, e.g. find: the dog")
        regions = [Region(**(single | changed))]
    if missing := [r.find for r in regions if not r.replace]:
        raise UserError(f"videos: {job}: `replace` is missing for {missing[0]!r}: say what it becomes")
    return regions


def _check_masks(job: str, masks: dict[str, Any], regions: list[Region]) -> None:
    if masks["method"] == "files" and not masks["path"]:
        raise UserError(f"videos: {job}: masks.method is `files`, so masks.path must name a folder or a mask video")
    if masks["method"] == "box" and (missing := [r.find for r in regions if r.box is None]):
        raise UserError(f"videos: {job}: masks.method is `box`, so {missing[0]!r} needs box: [x0, y0, x1, y1]")


def _keyframe_values(keyframes: Keyframes, span: tuple[float, float] | None) -> dict[str, Any]:
    method = keyframes.method() or {"every": 12}
    return {"method": method, "cut_threshold": keyframes.cut_threshold, "range": list(span) if span else None}


def _plain(box: Box | dict[int, Box] | None) -> list | dict | None:
    if isinstance(box, dict):
        return {frame: list(b) for frame, b in sorted(box.items())}
    return list(box) if box else None


def _merged(model: type[Section], *layers: Section | None) -> Any:
    """The layers over one another, later ones winning key by key, with defaults filled in."""
    values: dict[str, Any] = {}
    for layer in layers:
        given = layer.model_dump(exclude_unset=True) if layer else {}
        if model is Keyframes and any(k in given for k in Keyframes.METHODS):
            values = {k: v for k, v in values.items() if k not in Keyframes.METHODS}
        values = merge(values, given)
    return model.model_validate(values)


def merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """`base` with `over` put on top, mapping by mapping."""
    nested = {
        k: merge(base[k], v) for k, v in over.items() if isinstance(v, Mapping) and isinstance(base.get(k), Mapping)
    }
    return {**base, **over, **nested}
