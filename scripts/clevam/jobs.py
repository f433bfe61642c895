"""What a configuration asks for: clips are decoded, finds are located in a clip, jobs are written to out/.

Each holds just the plain values that its stages use, so that a changed key touches its own stages and no others. Ten
edits of one clip share the clip, and the find too, unless they look for something else.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache, reduce
from itertools import product
from math import prod
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from clevam import referring
from clevam.config import (
    Box,
    Config,
    Edit,
    Encode,
    Keyframes,
    Limits,
    Models,
    Preview,
    Region,
    Report,
    Runtime,
    Section,
    Share,
    Variant,
    Video,
    parse,
    validated,
)
from clevam.errors import UserError

_PRESETS = Path(__file__).resolve().parents[2] / "config" / "presets"
TRIALS = 1000  # of one edit, at most
WORDS = ("find", "replace", "box", "subject")  # what is said of a region
WHOLE = ("*", "background")  # what is found without being looked for: the whole frame, behind all other regions


@dataclass(frozen=True)
class Clip:
    """A source video: what the keyframes stage uses."""

    path: str
    keyframes: dict[str, Any]


@dataclass(frozen=True)
class Find:
    """What is located in a clip: masks, plan and flow are shared by all jobs that find the same.

    regions: {"find", "box", "label", "phrase", "pick"} each, from back to front; phrase: what a detector looks for;
    masks, plan, flow: the sections of config.Config.
    """

    video: str
    regions: list[dict[str, Any]]
    masks: dict[str, Any]
    plan: dict[str, Any]
    flow: dict[str, Any]

    @property
    def edited(self) -> list[str]:
        """What is found, by label, without what is only kept."""
        return [region["find"] for region in self.regions if region["label"]]


@dataclass(frozen=True)
class Job:
    """One result, out/<job>.<container>."""

    video: str
    find: str
    replace: list[str]
    subjects: list[dict[str, Any] | None]
    feather: int
    edit: dict[str, Any]
    out: dict[str, Any]
    encode: dict[str, Any]

    @property
    def inversion(self) -> dict[str, Any] | None:
        """What of an edit the inversion depends on; None where it takes none."""
        if self.edit["start"] != "inversion" and self.edit["inject"]["where"] == "none":
            return None
        return {key: self.edit[key] for key in ("steps", "attention")}

    def tried(self, preview: Preview) -> dict[str, tuple["Job", dict[str, Any]]]:
        """What a preview tries, by name: `own`, this edit as it is, and every seed that makes it another; each with the
        keys of `edit` to set for it. Where no seed counts, they start from noise."""
        own = self._with({"steps": preview.steps} if preview.steps else {})
        found: dict[str, tuple[Job, dict[str, Any]]] = {"own": (own, {})}
        if own.edit["reference"]:
            return found
        noise = {"start": "noise", "strength": 1.0} if "seed" in _unused_of_edit(own.edit) else {}
        for seed in range(preview.seeds) if isinstance(preview.seeds, int) else preview.seeds:
            keys = {key: value for key, value in noise.items() if own.edit[key] != value} | {"seed": seed}
            if (other := own._with(keys)) != own:
                found[str(seed)] = other, keys
        return found

    def _with(self, keys: Mapping[str, Any]) -> "Job":
        """The same with other keys of `edit`."""
        edit = self.edit | keys
        return replace(self, edit=edit | _defaults(Edit(), _unused_of_edit(edit)))

    @property
    def shown(self) -> dict[int, dict[str, Any]]:
        """What is shown in pictures, by label: the values of config.Subject."""
        return {label: subject for label, subject in enumerate(self.subjects, 1) if subject}


@dataclass(frozen=True)
class Resolved:
    """Everything a configuration asks for, by name.

    sweeps: of a job those that try other values of its keys: {name: {key: value}}. They are among the jobs.
    yes: whether what is listed is to be removed.
    """

    clips: dict[str, Clip]
    finds: dict[str, Find]
    jobs: dict[str, Job]
    sweeps: dict[str, dict[str, dict[str, Any]]]
    models: Models
    runtime: Runtime
    limits: Limits
    report: Report
    preview: Preview
    yes: bool

    def describe(self) -> dict[str, Any]:
        """Everything as plain values, defaults filled in."""
        plain = {key: {n: vars(v) for n, v in getattr(self, key).items()} for key in ("clips", "finds", "jobs")}
        return plain | {key: getattr(self, key).model_dump() for key in ("models", "runtime", "limits", "report")}


def resolve(raw: Mapping[str, Any]) -> Resolved:
    """The clips, finds and jobs that a configuration asks for. Raises UserError."""
    config = parse(raw)
    clips, finds, jobs, sweeps = {}, {}, {}, {}
    for name, video in config.videos.items():
        keyframes = _merged(Keyframes, config.keyframes, video.keyframes)
        clips[name] = Clip(video.path, _keyframe_values(keyframes, video.range) | {"strict": video.strict})
        # The clip's name belongs to what the clip itself looks for, whichever edits come and go.
        own = _find(config, name, video, Variant())
        for job, variant, trial in _tried(config.sweep, _variants(name, video)):
            if job in jobs or (job != name and job in config.videos):
                raise UserError(f"videos: two entries write out/{job}; rename the video or the edit")
            if len(job.encode()) > 200:
                raise UserError(f"videos: {job}: out/{job} is too long for the name of a file; shorten it")
            find = _checked(job, _find(config, name, video, variant))
            shared = name if find == own else job
            finds[shared], jobs[job] = find, _job(config, video, variant, job, name, shared)
            if trial:
                sweeps.setdefault(trial.of, {})[job] = trial.values
    parts = config.models, config.runtime, config.limits, config.report, config.preview, config.yes
    return Resolved(clips, finds, jobs, sweeps, *parts)


@dataclass(frozen=True)
class Trial:
    """A job that is like another but for some values, by key."""

    of: str
    values: dict[str, Any]


def _tried(sweep: dict[str, list], variants: list[tuple[str, Variant]]) -> Iterator[tuple[str, Variant, Trial | None]]:
    """Each variant by job name, and then those that try all combinations of a sweep's values on it.

    The name of such a job says its values, so that a sweep that grows keeps what it has.
    """
    if (count := prod(map(len, sweep.values()))) > TRIALS:
        raise UserError(f"sweep: {count:,} combinations of values are too many; give {TRIALS:,} at most")
    for job, variant in variants:
        yield job, variant, None
        for values in product(*sweep.values()) if sweep else ():
            chosen = dict(zip(sweep, values, strict=True))
            raw = variant.model_dump(exclude_unset=True)
            for key, value in chosen.items():
                raw = merge(raw, reduce(lambda inner, part: {part: inner}, reversed(key.split(".")), value))
            named = ",".join(f"{key}={_word(value)}" for key, value in chosen.items())
            yield f"{job}.{named}", validated(Variant, raw, "sweep"), Trial(job, chosen)


def _word(value: Any) -> str:
    """A value as part of a file's name."""
    return re.sub(r"[^\w.+-]+", "-", str(value)).strip("-.")


def _variants(name: str, video: Video) -> list[tuple[str, Variant]]:
    """The edits of a clip by job name: the clip's own, if it has a `replace`, then those under `edits`."""
    own = [(name, Variant())] if _replaces(video) or not video.edits else []
    return own + [(f"{name}.{edit}", variant) for edit, variant in video.edits.items()]


def _replaces(video: Video) -> bool:
    return video.replace is not None or any(r.replace for r in video.regions or [])


def _find(config: Config, name: str, video: Video, variant: Variant) -> Find:
    """What an edit looks for in a clip."""
    masks, plan, flow = (_section(config, video, variant, key) for key in ("masks", "plan", "flow"))
    regions = _regions(name, video, variant)
    masks["method"] = _method(masks, regions)
    if masks["threshold"] is None:
        masks["threshold"] = 0.4 if masks["method"] == "attention" else 0.3
    boxed = masks["method"] == "box"
    labels = _labels(regions)
    where = [
        {"find": r["find"], "box": r["box"] if boxed else None, "label": label}
        | _which(r["find"], masks["pick"] if masks["method"] in ("grounded_sam", "attention") else None)
        for r, label in zip(regions, labels, strict=True)
    ]
    return Find(name, where, masks, plan, flow)


def _which(find: str | None, pick: str | int | None) -> dict[str, Any]:
    """What is looked for, and which of several is meant; pick: None where nothing has to be looked for."""
    if find is None or find in WHOLE or pick is None:
        return {"phrase": None, "pick": "all"}
    phrase, said = referring.parse(find)
    return {"phrase": phrase, "pick": said or pick}


def _method(masks: Mapping[str, Any], regions: list[dict[str, Any]]) -> str:
    """How the regions are found: `auto` by what is given for them."""
    if masks["method"] == "files" or (masks["method"] == "auto" and masks["path"]):
        return "files"
    if all(r["find"] in WHOLE for r in regions):
        return "box"  # nothing to look for
    boxed = masks["method"] == "auto" and any(r["box"] for r in regions)
    if boxed or masks["method"] == "box":
        return "box"
    return "attention" if masks["method"] == "attention" else "grounded_sam"


def _labels(regions: list[dict[str, Any]]) -> list[int]:
    """The label of each region: 1, 2, ...; 0 for one that only keeps what is behind it from being edited."""
    behind = any(r["find"] in WHOLE for r in regions)
    kept = [behind and r["replace"] is None and r["find"] not in WHOLE for r in regions]
    return [0 if k else n - sum(kept[:n]) for n, k in enumerate(kept, 1)]


def _job(config: Config, video: Video, variant: Variant, job: str, name: str, find: str) -> Job:
    regions = _regions(job, video, variant)
    edited = [region for region, label in zip(regions, _labels(regions), strict=True) if label]
    replace, subjects = ([region[key] for region in edited] for key in ("replace", "subject"))
    if None in replace:
        raise UserError(f"videos: {job}: `replace` is missing: say what A becomes, e.g. replace: a red fox")
    masks, edit, out, encode = (_section(config, video, variant, key) for key in ("masks", "edit", "out", "encode"))
    edit |= _defaults(Edit(), _unused_of_edit(edit))
    encode |= _defaults(Encode(), {"crf"} if encode["lossless"] else set())
    if not edit["share"]["reference"]:
        edit["share"] = Share(reference=False).model_dump()
    for key, models in {"control": "controls", "adapters": "adapters"}.items():
        known = getattr(config.models, models)
        for missing in (each["model"] for each in edit[key] if each["model"] not in known):
            raise UserError(
                f"videos: {job}: edit.{key}: there is no models.{models}.{missing}; named are: "
                + (", ".join(known) or "none")
            )
    if any(subjects) and None in (config.models.subject.weights, config.models.subject.encoder):
        raise UserError(
            f"videos: {job}: `subject` needs models.subject.weights and models.subject.encoder, an IP-Adapter"
        )
    return Job(name, find, replace, subjects, masks["feather"], edit, out, encode)


def _defaults(section: Section, unused: set[str]) -> dict[str, Any]:
    """What `unused` keys are by default: what a job does not use makes it no other job."""
    return section.model_dump(include=unused)


def _unused_of_edit(edit: Mapping[str, Any]) -> set[str]:
    """The keys of `edit` that nothing reads, because of what others say."""
    start, constrain = edit["start"], edit["constrain"]
    unused = {
        "seed": start == "inversion" and constrain != "repaint",
        "standardize": start != "inversion",
        "background": constrain not in ("background", "repaint"),
        "tiles": edit["layout"] != "grid",
        "ilvr": constrain != "ilvr",
        "repaint": constrain != "repaint",
        "inject": edit["inject"]["where"] == "none",
    }
    return {key for key, nobody in unused.items() if nobody}


def _section(config: Config, video: Video, variant: Variant, key: str) -> dict[str, Any]:
    """A section's values for one edit."""
    layers = [getattr(level, key) for level in (config, video, variant)]
    merged = _merged(type(layers[0]), *layers)
    if not isinstance(merged, Edit):
        return merged.model_dump()
    # What counts is what a preset stands for, not its name: a job with the same values is the same job.
    return _merged(Edit, preset(merged.preset), *layers).model_dump(exclude={"preset"})


@cache
def preset(name: str) -> Edit:
    """config/presets/<name>.yaml."""
    return Edit.model_validate(yaml.safe_load((_PRESETS / f"{name}.yaml").read_text()))


def _regions(job: str, video: Video, variant: Variant) -> list[dict[str, Any]]:
    """The regions of an edit as far as they are given: its own, or the clip's with the edit's words put in. Those that
    are the whole frame come first, behind all others."""
    single, changed = ({k: v for k, v in _words(level).items() if v is not None} for level in (video, variant))
    regions = variant.regions or video.regions
    if not regions:
        return [dict.fromkeys(WORDS) | single | changed]
    if single | changed:
        raise UserError(f"videos: {job}: give either `regions` or {', '.join(single | changed)}, not both")
    return sorted((_words(region) for region in regions), key=lambda r: r["find"] not in WHOLE)


def _words(level: Variant | Region) -> dict[str, Any]:
    subject = level.subject and level.subject.model_dump()
    return dict(zip(WORDS, (level.find, level.replace, _plain(level.box), subject), strict=True))


def _checked(job: str, find: Find) -> Find:
    """The find, if it can be found."""
    masks, regions = find.masks, find.regions
    if any(r["find"] is None for r in regions):
        raise UserError(f"videos: {job}: `find` is missing: say what is to be replaced, e.g. find: the dog")
    if masks["method"] == "files" and not masks["path"]:
        raise UserError(f"videos: {job}: masks.method is `files`, so masks.path must name a folder or a mask video")
    missing = [r["find"] for r in regions if not r["box"] and r["find"] not in WHOLE]
    if masks["method"] == "box" and missing:
        raise UserError(f"videos: {job}: masks.method is `box`, so {missing[0]!r} needs box: [x0, y0, x1, y1]")
    return find


def _keyframe_values(keyframes: Keyframes, span: tuple[float, float] | None) -> dict[str, Any]:
    if keyframes.method == "adaptive":
        method = {"adaptive": {"unreached": keyframes.unreached, "region": _plain(keyframes.region)}}
    else:
        method = keyframes.spacing() or {"every": 12}
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
        if model is Keyframes and not given.keys().isdisjoint(chosen := {"method", *Keyframes.SPACINGS}):
            values = {k: v for k, v in values.items() if k not in chosen}
        values = merge(values, given)
    try:
        return model.model_validate(values)
    except ValidationError as error:  # each layer is right by itself
        raise UserError(f"config: {model.__name__.lower()}: {error.errors()[0]['ctx']['error']}") from None


def merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """`base` with `over` put on top, mapping by mapping."""
    nested = {
        k: merge(base[k], v) for k, v in over.items() if isinstance(v, Mapping) and isinstance(base.get(k), Mapping)
    }
    return {**base, **over, **nested}
