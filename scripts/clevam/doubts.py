"""What a user should know of masks before trusting them."""

from collections.abc import Mapping, Sequence
from typing import Any


def doubts(told: Mapping[str, Any], name: str) -> list[str]:
    """What a user should know of masks.json: one line for each region with something missing or doubtful."""
    lines = []
    for number, region in enumerate(told["regions"]):
        entries = {keyframe: each[number] for keyframe, each in told["keyframes"].items()}
        called = f"{name}: {region['find']!r}"
        missing = [keyframe for keyframe, entry in entries.items() if not entry["chosen"]]
        if missing and region["words"] and region["label"]:
            best = max(entries[keyframe]["best"] for keyframe in missing)
            lines.append(
                f"{called} is not on {listed(missing)} of {len(entries)} keyframes, which stay as they are (best score "
                f"there {best:.2f}, masks.threshold {told['threshold']:g})"
            )
        doubtful = [f"{keyframe} ({', '.join(e['alarms'])})" for keyframe, e in entries.items() if e["alarms"]]
        if doubtful:
            lines.append(f"{called} is doubtful on {listed(doubtful)}: look at masks/{name}")
    return lines


def listed(items: Sequence[str], most: int = 5) -> str:
    return ", ".join(items[:most]) + (f" and {len(items) - most} more" if len(items) > most else "")
