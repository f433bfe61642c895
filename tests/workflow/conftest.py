"""Real runs of the workflow in temporary folders, on a small clip, in the environments of the checkout.

One run is made per session; tests that change something work on a copy of its folder.
"""

import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "scripts"), str(ROOT / "demo"), str(ROOT / "tests"), str(ROOT / "docs")]

import matrix  # noqa: E402
from clevam.alone import SOCKET  # noqa: E402
from clevam.jobs import merge  # noqa: E402
from film import write_clip, write_masks  # noqa: E402
from rehearsal import Rehearsal  # noqa: E402
from stage import Ran, Stage, copy_workflow, furnish, write  # noqa: E402
from world import Scene  # noqa: E402

ENVIRONMENTS = ROOT / ".snakemake" / "conda"


@dataclass
class Project:
    """A user's folder: a configuration, a clip and what the workflow made of them."""

    folder: Path
    config: dict

    def __call__(self, *args: str, **changes: object) -> Ran:
        """Run snakemake with `changes` on top of the configuration."""
        (self.folder / "config.yaml").write_text(yaml.safe_dump(merge(self.config, changes), allow_unicode=True))
        command = [Path(sys.executable).with_name("snakemake"), "--snakefile", ROOT / "Snakefile", "--cores", "2"]
        command += ["--configfile", "config.yaml", "--conda-prefix", ENVIRONMENTS, *args]
        # As from a plain shell: no virtual environment is active.
        environ = {k: v for k, v in os.environ.items() if k != "VIRTUAL_ENV"}
        done = subprocess.run(command, cwd=self.folder, env=environ, capture_output=True, text=True)
        return Ran(done.returncode, done.stdout + done.stderr)

    def plan(self, **changes: object) -> Counter:
        """The jobs that would run."""
        return self("--dry-run", **changes).jobs

    def copy(self, folder: Path) -> "Project":
        """The whole folder elsewhere, as `rsync -a` would, but for sockets, which processes of a run take away last."""
        shutil.copytree(self.folder, folder, symlinks=True, ignore=shutil.ignore_patterns(SOCKET.format("*")))
        return Project(folder, self.config)

    def __truediv__(self, path: str) -> Path:
        return self.folder / path


CONFIG = {
    "videos": {
        "ball": {
            "path": "clip.mp4",
            "find": "the red circle",
            "replace": "a green star",
            "masks": {"method": "files", "path": "masks.mkv"},
        }
    },
    "keyframes": {"every": 20},
    "edit": {"steps": 2, "start": "inversion"},  # a rule more than by default
    "encode": {"lossless": True, "preset": "ultrafast"},
    "report": {"enabled": False},  # but in test_report.py
}


def edit(**changes: object) -> dict:
    """Changes to the one video of CONFIG."""
    return {"videos": {"ball": changes}}


@pytest.fixture(scope="session")
def scene() -> Scene:
    """60 frames, so two blocks, of 160x96: keyframes 0, 20, 40 in block 0000 and 59 in block 0001."""
    return Scene.random(903385, size=(96, 160), frames=60)


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory, scene: Scene) -> Project:
    """A finished run. Do not change it: take `project`."""
    project = Project(tmp_path_factory.mktemp("run") / "project", CONFIG)
    project.folder.mkdir()
    write_clip(scene, project / "clip.mp4")
    write_masks(scene, project / "masks.mkv", only=1)
    ran = project()
    assert ran.status == 0, ran.text
    return project


@pytest.fixture
def project(finished: Project, tmp_path: Path) -> Project:
    """A copy of the finished run."""
    return finished.copy(tmp_path / "project")


@pytest.fixture(scope="session")
def rehearsal() -> Iterator[Rehearsal]:
    rehearsal = Rehearsal()
    yield rehearsal
    rehearsal.close()


@pytest.fixture(scope="session")
def staged(rehearsal: Rehearsal, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Stage]:
    """Of each base in matrix.py, what it is once it has run: copy it."""

    @cache
    def of(base: str) -> Stage:
        stage = Stage(rehearsal, tmp_path_factory.mktemp(base), matrix.WORDS)
        furnish(stage.project)
        copy_workflow(stage.tree)
        if base == "painted":
            write(stage.project / "edited_override/ball/000020.png", "painted")
        stage.configure(**matrix.BASES[base])
        ran = stage()
        assert ran.status == 0, ran.text
        return stage

    return of
