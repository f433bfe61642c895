"""What of a measured result is bad enough to be red."""

from collections.abc import Mapping
from typing import Any

from clevam.figures import METRICS


def raised(measured: Mapping[str, Any], limits: Mapping[str, float | None], lossless: bool) -> list[dict[str, Any]]:
    """{"metric", "frame", "text"} of everything that is red; metric: its name, or `frames`.

    measured: measured.json; limits: config.Alarm, each held against the worst frame; lossless: whether the file was to
    be exact, without which exactness is the encoder's matter.
    """
    found = _misplaced(measured["frames"])
    for name, limit in limits.items():
        told, metric = measured["summary"].get(name), METRICS[name]
        if limit is None or told is None or (name == "exactness" and not lossless):
            continue
        worst, low = told["worst"], metric.better == "high"
        if worst < limit if low else worst > limit:
            value, bound = (f"{number:.{metric.digits}f}" for number in (worst, limit))
            text = f"{metric.title} {value}, {'below' if low else 'above'} {bound}".replace("\n", " ")
            found.append({"metric": name, "frame": told["frame"], "text": f"{text} (frame {told['frame']})"})
    return found


def _misplaced(frames: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Frames too few or too many, or at other times."""
    if frames["found"] != frames["expected"]:
        text = f"{frames['found']} frames instead of {frames['expected']}"
    elif frames["off"] > 0.002:  # Matroska rounds to a thousandth of a second
        text = f"frames are shown up to {frames['off']:.3f} s too early or too late"
    else:
        return []
    return [{"metric": "frames", "frame": None, "text": text}]
