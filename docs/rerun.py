"""Write docs/rerun.md, and README's table of what re-runs, from tests/workflow/matrix.py: `make rerun-docs`."""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "workflow"))

import matrix  # noqa: E402

BEGIN, END = "<!-- rerun: made by `make rerun-docs` -->\n", "<!-- /rerun -->\n"

HEAD = """# What runs again after which change

Made by `make rerun-docs` from `tests/workflow/matrix.py`; do not edit. tests/workflow/test_rerun.py makes every change
to a finished project and runs it with stages that are only played: whatever depends on something that changed differs
too, so each row is the worst case. A mask, a choice or a plan that comes out the same ends what a change sets off.

The clip has 60 frames in two blocks, keyframes 0, 20 and 40 in the first and 59 in the second; A is found by its words.
There is no report but where a row says so: with one, whatever runs `out` again runs `measure`, `report` and `summary`.
Edits start from an inversion: from noise, the default, there is no `invert`.
"""


def main() -> None:
    (ROOT / "docs/rerun.md").write_text(document())
    path = ROOT / "README.md"
    path.write_text(readme(path.read_text()))


def document() -> str:
    """docs/rerun.md: every row of the matrix, by groups."""
    parts = [HEAD]
    for group in matrix.SUMMARY:
        rows = [f"| {row.change} | {jobs(row.jobs)} |" for row in matrix.ROWS if row.group == group]
        parts += [f"\n## {group[0].upper()}{group[1:]}\n", "| change | jobs |\n|---|---|", *rows]
    return "\n".join(parts) + "\n"


def readme(text: str) -> str:
    """The README with the table of the groups in its place."""
    rows = [f"| {group} | {runs} |\n" for group, runs in matrix.SUMMARY.items()]
    table = "".join([BEGIN, "| change | what runs again |\n|---|---|\n", *rows, END])
    return re.sub(f"{re.escape(BEGIN)}.*{re.escape(END)}", lambda _: table, text, flags=re.S)


def jobs(counts: dict[str, int]) -> str:
    """Jobs in words, in the order of the workflow."""
    named = (f"{rule} {count}" if count > 1 else rule for rule, count in sorted(counts.items(), key=place))
    return ", ".join(named) or "none"


def place(job: tuple[str, int]) -> int:
    return matrix.ORDER.index(job[0])


if __name__ == "__main__":
    main()
