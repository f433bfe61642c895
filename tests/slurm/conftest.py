"""The demo's scene, small, through profiles/slurm on a real Slurm, and the same without.

One run of each is made per session. Snakemake with the executor is in an environment of its own: installed, it asks
Slurm at every start.
"""

import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

import cluster as slurm
from cluster import Cluster

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "scripts"), str(ROOT / "demo")]

from film import write_clip  # noqa: E402
from world import Scene  # noqa: E402

WITH_SLURM = ROOT / ".slurm" / "venv" / "bin" / "snakemake"
WITHOUT = Path(sys.executable).with_name("snakemake")

# Keyframes 0 and 30 in block 0000, 59 in block 0001; found by words, so on a GPU
CONFIG = {
    "videos": {"ball": {"path": "clip.mp4", "find": "the red ball", "replace": "a blue star"}},
    "keyframes": {"every": 30},
    "edit": {"steps": 2, "start": "noise"},
    "encode": {"lossless": True, "preset": "ultrafast"},
    "models": yaml.safe_load((ROOT / "config/config.yaml").read_text())["models"],
}


@dataclass
class Project:
    """A user's folder with a configuration and a clip."""

    folder: Path
    path: str = os.environ["PATH"]  # where programs are looked for

    def __call__(self, program: Path, *args: object) -> str:
        """Run snakemake, and give what it said."""
        command = [program, "--snakefile", ROOT / "Snakefile", "--configfile", "config.yaml"]
        command += ["--conda-prefix", ROOT / ".snakemake" / "conda", *args]
        environ = {k: v for k, v in os.environ.items() if k != "VIRTUAL_ENV"} | {"PATH": self.path}
        done = subprocess.run(
            list(map(str, command)),
            cwd=self.folder,
            env=environ,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        assert done.returncode == 0, done.stdout
        return done.stdout

    def on_slurm(self, profile: str, *args: object) -> str:
        """Run it through a profile. There is no accounting here, and jobs are short."""
        here = ["--slurm-status-command", "squeue", "--slurm-init-seconds-before-status-checks", 10]
        return self(WITH_SLURM, "--workflow-profile", ROOT / "profiles" / profile, *here, *args)

    def __truediv__(self, path: str) -> Path:
        return self.folder / path


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    prefix = ROOT / ".slurm" / "debian"
    try:
        slurm.unpack(prefix)
    except slurm.NoSlurm as reason:
        if os.environ.get("CI"):
            raise
        pytest.skip(f"no Slurm: {reason}")
    with slurm.running(prefix, tmp_path_factory.mktemp("slurm")) as running:
        yield running


def project(folder: Path, clip: Path) -> Project:
    (folder / "config.yaml").write_text(yaml.safe_dump(CONFIG))
    shutil.copy(clip, folder / "clip.mp4")
    return Project(folder)


@pytest.fixture(scope="session")
def runs(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> tuple[Project, Project]:
    """The run through Slurm and the one without, side by side: much of the time is waiting."""
    clip = tmp_path_factory.mktemp("clip") / "clip.mp4"  # encoded once: x264 does not repeat its bytes every time
    write_clip(Scene.random(903385, size=(96, 160), frames=60), clip)
    here, there = (project(tmp_path_factory.mktemp(name), clip) for name in ("local", "submitted"))
    there.path = f"{cluster.bin}{os.pathsep}{there.path}"
    over = threading.Event()
    with ThreadPoolExecutor() as pool:
        # As many threads as a job on this node has
        waited = [pool.submit(here, WITHOUT, "--cores", min(4, len(os.sched_getaffinity(0))))]
        waited.append(pool.submit(cancel_first, cluster, "edit", over))
        try:
            there.on_slurm("slurm")
        finally:
            over.set()
        for each in waited:
            each.result()
    return here, there


@pytest.fixture(scope="session")
def local(runs: tuple[Project, Project]) -> Project:
    """What comes out without Slurm."""
    return runs[0]


@pytest.fixture(scope="session")
def ran(runs: tuple[Project, Project]) -> Project:
    """What comes out of profiles/slurm where the first job of `edit` is cancelled as soon as it runs."""
    return runs[1]


def cancel_first(cluster: Cluster, rule: str, over: threading.Event) -> None:
    """scancel the first job of a rule once it runs."""
    while not over.wait(0.3):
        for line in cluster("squeue --noheader --states=RUNNING --format=%i:%k").splitlines():
            job, _, comment = line.partition(":")
            if slurm.rule_of(comment) == rule:
                cluster(f"scancel {job}")
                return


def minutes(limit: str) -> int:
    """Slurm's [days-]hours:minutes:seconds."""
    days, hours, rest, _ = re.fullmatch(r"(?:(\d+)-)?(\d+):(\d+):(\d+)", limit).groups(default="0")
    return 1440 * int(days) + 60 * int(hours) + int(rest)
