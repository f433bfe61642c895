"""One run at a time in a folder."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

import matrix
from conftest import ROOT
from stage import Stage, write


@pytest.fixture
def stage(staged, tmp_path) -> Stage:
    stage = staged("words").copy(tmp_path)
    stage.configure(**matrix.edit(guidance=9))
    return stage


@contextmanager
def beside(stage: Stage, does: str) -> Iterator[subprocess.Popen]:
    """Another process in the project's folder, which is killed in the end."""
    program = f"from clevam import alone; alone.{does}(); print(flush=True); input()"
    process = subprocess.Popen(
        [sys.executable, "-c", program], cwd=stage.project, env=os.environ | {"PYTHONPATH": str(ROOT / "scripts")},
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    with process:
        process.stdout.readline()
        yield process
        process.kill()


def errors(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.startswith("error: ") or "Error" in line]


def test_a_second_run_is_refused_in_one_line_until_the_first_has_ended(stage):
    with beside(stage, "hold") as first:
        ran = stage()
        assert (ran.status, ran.jobs) == (1, {})
        who = f"process {first.pid} on {socket.gethostname()}"
        assert errors(ran.text) == [f"error: another run is at work in this folder ({who}): wait for it, or end it"]
        assert stage("prune", "--config", "yes=1").status == 1
        assert stage("--dry-run").jobs == matrix.EDIT
    assert stage().jobs == matrix.EDIT


def test_a_job_that_outlives_its_killed_run_holds_up_the_next(stage):
    with beside(stage, "work"):
        ran = stage()
        assert (ran.status, ran.jobs) == (1, {})
        assert errors(ran.text) == [
            "error: a job of a run that was killed is still at work in this folder: wait for it, or end it "
            "(`fuser .snakemake/clevam.jobs` names it)"
        ]
    assert stage().jobs == matrix.EDIT


def test_jobs_of_one_run_do_not_hold_up_each_other(stage):
    with beside(stage, "work"), beside(stage, "work") as second:
        assert second.poll() is None


def test_snakemakes_lock_is_removed_where_a_run_was_killed_and_nowhere_else(stage):
    lock, content = stage.project / ".snakemake/locks/0.output.lock", "out/ball.mp4\n"
    with beside(stage, "hold") as run:
        run.communicate(b"\n")  # it ends by itself
        write(lock, content)
    assert "cannot be locked" in stage().text  # by another workflow in the same folder, perhaps
    with beside(stage, "hold") as run:
        os.kill(run.pid, signal.SIGKILL)
        write(lock, content)
    assert stage().jobs == matrix.EDIT


def test_folders_that_a_killed_run_was_removing_are_made_again(staged, tmp_path):
    """Before it marks them as being written: what is left of one is newer than all that it is made from."""
    stage = staged("words").copy(tmp_path)
    (stage.project / "work/edited/ball/0000/000020.png").unlink()
    for folder in ("work/edited/ball/0000", "flow/ball/0001"):
        (stage.project / folder / ".snakemake_timestamp").unlink()
    with beside(stage, "hold") as run:
        os.kill(run.pid, signal.SIGKILL)
    assert stage().jobs == {"edit": 1, "edited": 3, "flow": 1, "carried": 1} | matrix.OUT


def test_a_folder_that_cannot_be_written_to_is_named(staged, tmp_path):
    stage = staged("words").copy(tmp_path)
    (stage.project / ".snakemake").rename(tmp_path / "away")
    (stage.project / ".snakemake").write_text("in the way")
    assert errors(stage().text) == [
        f"error: {stage.project}: cannot be written to (File exists); run in another folder"
    ]
