"""All results of a run in one table, and what of them is red."""

import csv
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import quote

from clevam import html
from clevam.errors import UserError
from clevam.figures import ALL
from clevam.files import read_json, replacing

_ASIDE = {"source_warp_error_inside", "blanked_ssim", "area"}  # in the TSV alone


def write(numbers: Iterable[str], page: str, table: str) -> None:
    """Write the page and the TSV over the metrics.json of all clips."""
    rows = list(_rows(numbers))
    known = {name for row in rows for name in row["summary"]}
    shown = {name: metric for name, metric in ALL.items() if name in known - _ASIDE}
    html.write(page, "summary", rows=rows, metrics=shown)
    with replacing(table) as part, part.open("w", newline="") as stream:
        writer = csv.writer(stream, delimiter="\t")
        writer.writerow(["result", *ALL, "alarms"])
        for row in rows:
            writer.writerow([row["name"], *map(_mean, (row["summary"].get(name) for name in ALL)), _said(row)])


def _rows(numbers: Iterable[str]) -> Iterator[dict[str, Any]]:
    for told in map(read_json, numbers):
        for name, edit in told["edits"].items():
            yield {
                "name": name,
                "page": f"{quote(told['video'], safe='')}/index.html",
                "summary": edit["summary"],
                "alarms": edit["alarms"],
                "lossless": edit["lossless"],
                "red": [alarm["metric"] for alarm in edit["alarms"]],
            }


def _mean(told: Mapping[str, Any] | None) -> str:
    return f"{told['mean']:.6g}" if told else ""


def _said(row: Mapping[str, Any]) -> str:
    return "; ".join(alarm["text"] for alarm in row["alarms"])


def refuse(numbers: Iterable[str]) -> None:
    """Raise UserError if anything is red."""
    red = [f"{row['name']}: {_said(row)}" for row in _rows(numbers) if row["alarms"]]
    if red:
        raise UserError("report.strict: " + " | ".join(red))
