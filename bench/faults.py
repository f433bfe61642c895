"""bench-faults: the demo's run killed again and again, each time begun anew by the same command.

SIGKILL goes to the whole process group, after a time that is drawn anew each time (exponentially, so that there is no
moment that is safe), a sixth of what all of it takes on average: most runs are killed again while they mend what the
last one left. Where one comes to its end, the next begins with an empty folder. Every result and every edited picture
must be the bytes of a run that nothing disturbed. (On one core some pictures differ: docs/limits.md.)

make bench-faults                       200 kills: an hour
make bench-faults ARGS=--quick          10, of the first half second in 5 steps
make bench-faults ARGS="--seeds A:B"    B - A kills, at the moments that A to B - 1 and those after them draw
"""

import hashlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from itertools import count
from pathlib import Path
from random import Random

import yaml
from harness import ROOT, Figure, arguments, report

from demo import SNAKEMAKE


def main() -> int:
    args = arguments(__doc__)
    seeds = args.seeds or range(10 if args.quick else 200)
    subprocess.run([SNAKEMAKE, "--cores", "2", "--quiet", "all", "--", "environments"], cwd=ROOT, check=True)
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        configure(Path(folder), args.quick)
        whole = results(finished(Path(folder) / "whole"))
        seconds = time.perf_counter() - start
        alone = results(finished(Path(folder) / "alone", cores=1))
        kills, ends, wrong = 0, 0, 0
        killed = Path(folder) / "killed"
        for seed in count(seeds.start):
            if interrupted(killed, Random(seed).expovariate(6 / seconds)):
                kills += 1
            else:
                ends, wrong = ends + 1, wrong + (results(killed) != whole)
                shutil.rmtree(killed)
            print(f"{seed}: {kills} kills, {ends} runs came to their end, {wrong} with other results", file=sys.stderr)
            if kills == len(seeds):
                break
        ends, wrong = ends + 1, wrong + (results(finished(killed)) != whole)
    return report(
        "faults",
        [
            Figure("the demo undisturbed", seconds, "s"),
            Figure("files compared", len(whole), "", ">= 4"),
            Figure("with one core: files that differ", differing(alone, whole)),
            Figure("kills", kills),
            Figure("runs that came to their end", ends),
            Figure("of which with other results", wrong, "", "<= 0"),
        ],
    )


def configure(folder: Path, quick: bool) -> None:
    """The demo's configuration, for the projects in this folder."""
    config = yaml.safe_load((ROOT / "config/config.yaml").read_text())
    if quick:
        config["videos"]["ball"]["range"], config["edit"]["steps"] = [0, 0.5], 5
    (folder / "config.yaml").write_text(yaml.safe_dump(config))


def interrupted(project: Path, seconds: float) -> bool:
    """Run the demo and kill it after some seconds; False if it had finished by then."""
    process = begin(project)
    try:
        said, _ = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        return True
    if process.returncode:
        sys.exit(f"a run after a kill failed:\n{said}")
    return False


def finished(project: Path, cores: int = 2) -> Path:
    process = begin(project, cores)
    said, _ = process.communicate()
    if process.returncode:
        sys.exit(f"a run failed:\n{said}")
    return project


def begin(project: Path, cores: int = 2) -> subprocess.Popen:
    """The demo's run in a folder, in a process group of its own."""
    project.mkdir(exist_ok=True)
    command = [SNAKEMAKE, "--snakefile", ROOT / "Snakefile", "--cores", str(cores)]
    command += ["--configfile", "../config.yaml"]
    command += ["--conda-prefix", ROOT / ".snakemake" / "conda"]
    return subprocess.Popen(
        command, cwd=project, start_new_session=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def results(project: Path) -> dict[str, str]:
    """Digests of the results and of every edited picture."""
    paths = [*project.glob("out/*.mp4"), *project.glob("edited/**/*.png")]
    return {str(path.relative_to(project)): hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(paths)}


def differing(some: dict[str, str], others: dict[str, str]) -> int:
    return sum(some.get(name) != digest for name, digest in others.items())


if __name__ == "__main__":
    sys.exit(main())
