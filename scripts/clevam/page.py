"""The report of a clip: one page that needs no other file and no network, and the same numbers as JSON."""

import base64
import hashlib
import json
from collections.abc import Iterable, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any
from urllib.parse import quote

from clevam import alarms, benchmarks, doubts, html, video
from clevam.figures import ALL, WEIGHTS
from clevam.files import read_json, write_json

OVERLAYS = {"mask": "Mask", "motion": "Motion", "confidence": "Confidence", "difference": "Difference"}
DOUBTS = {
    "several": "several are about as sure",
    "faint": "less sure than the threshold",
    "jump": "not where motion takes it",
    "area": "twice or half as large",
}


def write(
    target: str, numbers: str, *, video: str, index: dict, config: Mapping[str, Any], edits: Mapping[str, dict],
    limits: Mapping[str, float | None], models: Mapping[str, str], versions: Mapping[str, Mapping[str, str]],
) -> None:  # fmt: skip
    """Write the page `target` of a clip and its metrics.json, `numbers`.

    config: of the run, resolved (jobs.Resolved.describe); edits: of each job {"words", "find", "file", "lossless",
    "plan" (plan.json), "masks" (masks.json), "folder" (of measure.measure), "perceived" (the file of perceive.perceive
    or None)}; limits: config.Alarm; models: {key:
    fingerprint}; versions: {environment: {package: version}}.
    """
    told = {job: judged(edit, limits) for job, edit in edits.items()}
    missing = not_measured(told.values())
    write_json(numbers, {"video": video, "edits": told, "not_measured": missing})
    clock = Clock(index)
    media: dict[str, str] = {}
    shown = [_edit(job, edit, told[job], clock, index["stream"]["upright"][0], media) for job, edit in edits.items()]
    finds = {edit["find"] for edit in edits.values()}
    html.write(
        target,
        "report",
        video=video,
        clip=_clip(index, config["clips"][video]["path"], clock),
        edits=shown,
        metrics={name: metric for name, metric in ALL.items() if name not in missing},
        limits=limits,
        not_measured={ALL[name].title: why for name, why in missing.items()},
        overlays=OVERLAYS,
        jobs=list(benchmarks.jobs({video, *edits, *finds})),
        settings=_settings(config, video, edits),
        models={key: (_at(config["models"], key), digest) for key, digest in models.items()},
        versions=versions,
        folders=_folders(video, edits),
        media=media,
        data={
            "times": clock.times,
            "shots": index["shots"],
            "keyframes": [int(name) for name in index["keyframes"]],
            "size": index["stream"]["upright"],
            "metrics": {n: m._asdict() | {"limit": limits.get(n), "definition": None} for n, m in ALL.items()},
            "edits": [_playable(edit) | {"series": told[edit["name"]]["series"]} for edit in shown],
        },
    )


def judged(edit: Mapping[str, Any], limits: Mapping[str, float | None]) -> dict[str, Any]:
    """What is measured of an edit, with what is red in it."""
    measured = read_json(f"{edit['folder']}/measured.json")
    for part, values in (read_json(edit["perceived"]) if edit["perceived"] else {}).items():
        measured[part] |= values
    kept = {key: edit[key] for key in ("file", "lossless")}
    return measured | kept | {"alarms": alarms.raised(measured, limits, edit["lossless"])}


def not_measured(edits: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Of what no edit was measured by, how to have it measured."""
    known = {name for edit in edits for name in edit["summary"]}
    return {
        name: f"weights not available: write models.{key}: {example}, then `snakemake fetch --cores 1`"
        for key, (names, example) in WEIGHTS.items()
        for name in names
        if name not in known
    }


class Clock:
    """When frames are shown, in seconds from the first."""

    def __init__(self, index: dict) -> None:
        self.times = [round(time, 6) for time in video.seconds(index["pts"], index["stream"])]
        self.seconds = self.times[-1] + float(1 / Fraction(*index["stream"]["rate"]))


def _clip(index: dict, path: str, clock: Clock) -> dict[str, Any]:
    stream = index["stream"]
    return {
        "path": path,
        "size": "{} × {}".format(*stream["upright"]),
        "frames": len(clock.times),
        "rate": f"{float(Fraction(*stream['rate'])):.5g}",
        "seconds": clock.seconds,
        "codec": f"{stream['codec']}, {stream['pix_fmt']}",
        "damage": index["damage"] and index["damage"]["reason"],
    }


def _edit(job: str, edit: Mapping[str, Any], told: Mapping[str, Any], clock: Clock, width: int, media: dict) -> dict:
    """What the page shows of an edit; its videos go into `media`, the same one only once."""
    folder = Path(edit["folder"])
    names = sorted({path.name.partition("_")[0] for path in folder.glob("*.jpg")})
    return {
        "name": job,
        "words": edit["words"],
        "file": link(edit["file"]),
        "lossless": edit["lossless"],
        "reference": int(edit["plan"]["reference"] or 0),
        "middle": _middle(edit["plan"], width),
        "summary": told["summary"],
        "frames": told["frames"],
        "alarms": told["alarms"],
        "red": [alarm["metric"] for alarm in told["alarms"]],
        "doubts": doubts.doubts(edit["masks"], edit["find"]),
        "doubtful": _doubtful(edit["masks"]),
        "media": {name: _kept(folder / f"{name}.mp4", media) for name in ("source", "edit", *OVERLAYS)},
        "contact": [
            {"frame": int(name), "seconds": clock.times[int(name)]}
            | {kind: html.jpeg((folder / f"{name}_{kind}.jpg").read_bytes()) for kind in ("source", "mask", "edit")}
            for name in names
        ],
    }


def _middle(plan: Mapping[str, Any], width: int) -> float:
    """Where A is at first, in percent of the picture's width."""
    boxes = [crop["box"] for _, crop in sorted(plan["crops"].items()) if crop]
    return round(100 * min(max((boxes[0][0] + boxes[0][2] / 2) / width, 0.1), 0.9)) if boxes else 50


def _playable(edit: Mapping[str, Any]) -> dict[str, Any]:
    """What the page's script needs of an edit."""
    return {key: edit[key] for key in ("name", "words", "reference", "middle", "media", "alarms", "doubtful")}


def _doubtful(masks: Mapping[str, Any]) -> dict[int, str]:
    """Which keyframes of masks.json are doubtful, and why."""
    found = {}
    for name, entries in masks["keyframes"].items():
        said = [DOUBTS.get(alarm, alarm) for entry in entries for alarm in entry["alarms"]]
        looked_for = [region["words"] and region["label"] for region in masks["regions"]]
        said += ["not found" for entry, due in zip(entries, looked_for, strict=True) if due and not entry["chosen"]]
        if said:
            found[int(name)] = ", ".join(dict.fromkeys(said))
    return found


def _settings(config: Mapping[str, Any], video: str, edits: Mapping[str, dict]) -> dict[str, str]:
    """The resolved configuration of a clip, section by section, as JSON."""
    parts = {f"clip {video}": config["clips"][video]}
    parts |= {f"find {find}": config["finds"][find] for find in dict.fromkeys(edit["find"] for edit in edits.values())}
    parts |= {f"edit {job}": config["jobs"][job] for job in edits}
    parts |= {key: config[key] for key in ("models", "runtime")}
    return {name: json.dumps(part, indent=1, sort_keys=True, ensure_ascii=False) for name, part in parts.items()}


def _at(models: Mapping[str, Any], key: str) -> str:
    """What a dotted key of `models` says."""
    section, _, name = key.partition(".")
    return str(models[section][name] if name else models[section])


def _folders(video: str, edits: Mapping[str, dict]) -> list[tuple[str, str, str]]:
    """(what, path, address) of what the run left, as far as it is about the clip."""
    found = [("keyframes", f"keyframes/{video}")]
    for find in dict.fromkeys(edit["find"] for edit in edits.values()):
        found += [
            ("masks of the keyframes", f"masks/{find}"),
            ("masks between", f"masks_frames/{find}"),
            ("plan", f"plan/{find}.json"),
            ("motion", f"flow/{find}"),
        ]
    for job, edit in edits.items():
        found += [("edited keyframes", f"edited/{job}"), ("result", edit["file"])]
    found += [("numbers", f"report/{video}/metrics.json"), ("all clips", "report/summary.html"), ("logs", "logs")]
    return [(what, path, link(path)) for what, path in found]


def link(path: str) -> str:
    """A file of the run as seen from a page in report/<video>/."""
    return f"../../{quote(path)}"


def _kept(path: Path, media: dict[str, str]) -> str:
    """The name under which a file's bytes are in `media`."""
    content = path.read_bytes()
    name = hashlib.sha256(content).hexdigest()[:12]
    media[name] = base64.b64encode(content).decode()
    return name
