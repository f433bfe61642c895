"""How long the jobs behind a result took, by Snakemake's benchmark files."""

import csv
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import NamedTuple


class Job(NamedTuple):
    """A job that ran: seconds, and the largest resident memory in MB, None where it was too short to be measured."""

    rule: str
    of: str
    seconds: float
    memory: float | None
    log: str | None


def jobs(names: Collection[str], root: Path = Path("benchmarks")) -> Iterator[Job]:
    """Every job about one of these clips, finds and results (benchmarks/<rule>/<name>…tsv), in the rules' order."""
    for path in sorted(root.rglob("*.tsv")):
        rule, *of = path.relative_to(root).with_suffix("").parts
        # out/<job>.<container>.tsv has the kind of file in its name
        if of and (of[0] in names or of[0].rpartition(".")[0] in names):
            with path.open() as stream:
                told = next(csv.DictReader(stream, delimiter="\t"), None)
            log = Path("logs") / path.relative_to(root).with_suffix(".log")
            if told:
                yield Job(rule, "/".join(of), _number(told["s"]) or 0.0, _number(told["max_rss"]), _existing(log))


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:  # "-" or "NA"
        return None


def _existing(path: Path) -> str | None:
    return path.as_posix() if path.exists() else None
