"""`snakemake --lint`, against the findings that we stand by.

The hand-out rules copy one file with `cp`: no log to write, no environment to build, and a hundred of them in a second.
"""

import re
import subprocess
import sys
from pathlib import Path

ALLOWED = {
    (rule, title)
    for rule in ("keyframe", "mask", "edited")
    for title in ("No log directive defined", "Specify a conda environment or container for each rule.")
} | {("prune", "Specify a conda environment or container for each rule.")}  # it needs only what Snakemake runs in


def main() -> int:
    snakemake = Path(sys.executable).with_name("snakemake")
    done = subprocess.run([snakemake, "--lint"], capture_output=True, text=True)
    found = findings(done.stderr)
    if done.returncode and not found:
        print(done.stderr)
        return 1
    for where, title in sorted(found - ALLOWED):
        print(f"snakemake --lint: {where}: {title}")
    for where, title in sorted(ALLOWED - found):
        print(f"tests/lint.py: {where}: {title}: allowed, but no longer found; remove it")
    return int(found != ALLOWED)


def findings(text: str) -> set[tuple[str, str]]:
    """(rule or file, title) of every finding."""
    found, where = set(), ""
    for line in text.splitlines():
        if head := re.match(r"Lints for (?:rule|checkpoint|snakefile) (\S+)", line):
            where = Path(head[1]).name
        elif title := re.match(r"    \* (.*):$", line):
            found.add((where, title[1]))
    return found


if __name__ == "__main__":
    sys.exit(main())
