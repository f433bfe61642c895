"""The contract of every benchmark: a table, then one JSON object on the last line, exit status 1 if a target is missed.

make bench-<name>                        as published
make bench-<name> ARGS=--quick           on fewer clips
make bench-<name> ARGS="--seeds A:B"     on the demo world's seeds A to B - 1 (below 1,000,000)
"""

import argparse
import json
import operator
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "scripts"), str(ROOT / "demo")]

_BETTER = {"<=": operator.le, ">=": operator.ge}


@dataclass(frozen=True)
class Figure:
    """A measured value with its unit, and the target it must meet, e.g. "<= 300", if it has one."""

    name: str
    value: float
    unit: str = ""
    target: str | None = None

    @property
    def met(self) -> bool:
        """Whether the target is met; without one there is nothing to miss, and an undefined value meets none."""
        if self.target is None:
            return True
        sign, limit = self.target.split()
        return bool(_BETTER[sign](self.value, float(limit)))


def arguments(description: str) -> argparse.Namespace:
    """`seeds`, a range or None for the benchmark's own, and `quick`."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--seeds", type=_seeds, help="A:B, seeds of the demo world from A to B - 1")
    parser.add_argument("--quick", action="store_true", help="on fewer clips")
    return parser.parse_args()


def report(bench: str, figures: list[Figure]) -> int:
    """Print the table and the JSON line; return the exit status."""
    width = max(len(f.name) for f in figures)
    for f in figures:
        verdict = "" if f.target is None else "ok" if f.met else "MISSED"
        print(f"{f.name:{width}}  {f.value:10.3f} {f.unit:5} {f.target or '':>10}  {verdict}")
    missed = [f.name for f in figures if not f.met]
    values = {f.name: round(f.value, 4) for f in figures}
    targets = {f.name: f.target for f in figures if f.target}
    print(json.dumps({"bench": bench, "figures": values, "targets": targets, "missed": missed}))
    return 1 if missed else 0


def _seeds(text: str) -> range:
    first, last = (int(part) for part in text.split(":"))
    if not 0 <= first < last <= 1_000_000:
        raise argparse.ArgumentTypeError(f"{text}: take A:B with A < B, up to 1,000,000")
    return range(first, last)
