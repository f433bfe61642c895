"""A disk that is full, and full again: with room, the same command makes what it would have made."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import matrix
from conftest import ROOT
from stage import Stage, copy_workflow, furnish

KILOBYTE = 1024


@pytest.fixture
def disk(tmp_path) -> Iterator[Path]:
    """A disk of two megabytes."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", folder], capture_output=True)
    if mounted.returncode:
        pytest.skip("only root can mount a small disk")
    yield folder
    subprocess.run(["umount", folder], check=True)


def test_what_a_full_disk_broke_off_is_made_when_there_is_room(rehearsal, tmp_path, disk):
    stage, clean = Stage(rehearsal, tmp_path, matrix.WORDS), Stage(rehearsal, tmp_path / "clean", matrix.WORDS)
    copy_workflow(stage.tree)
    clean.folder.mkdir()
    clean.tree.symlink_to(stage.tree)
    furnish(clean.project)
    clean.configure()
    assert clean().status == 0
    stage.project = disk / "project"
    furnish(stage.project)
    stage.configure()
    filler = disk / "filler"
    for left in (40, 120, 200, 280):  # kilobytes; one file takes four
        used = int(subprocess.check_output(["df", "--output=avail", "-k", disk], text=True).split()[-1])
        size = filler.stat().st_size if filler.exists() else 0
        filler.write_bytes(bytes(max(0, size + (used - left) * KILOBYTE)))
        assert stage().status != 0
    filler.unlink()
    ran = stage()
    assert ran.status == 0, ran.text
    assert stage.made() == clean.made()
    assert "missing provenance" not in stage("--dry-run").text


def test_a_disk_that_must_not_be_written_to_is_named(disk):
    subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
    program = "from clevam import alone, errors\ntry: alone.hold()\nexcept errors.UserError as error: print(error)"
    environ = os.environ | {"PYTHONPATH": str(ROOT / "scripts")}
    said = subprocess.check_output([sys.executable, "-c", program], cwd=disk, env=environ, text=True)
    assert said == f"{disk}: cannot be written to (Read-only file system); run in another folder\n"


def test_what_is_in_the_way_of_the_results_is_named(staged, tmp_path):
    stage = staged("words").copy(tmp_path)
    shutil.rmtree(stage.project / "out")
    (stage.project / "out").write_text("no folder")
    ran = stage()
    assert ran.status == 1
    said = [line for line in ran.text.splitlines() if line.startswith("error: ")]
    assert said == ["error: out: File exists; see to it and run again"]
    assert "Traceback" not in ran.text


@pytest.mark.parametrize("path", ["keyframes/ball/index.json", "masks/ball/masks.json", "plan/ball.json"])
def test_what_a_checkpoint_wrote_is_named_where_it_is_damaged_and_made_again_without_it(staged, tmp_path, path):
    stage = staged("words").copy(tmp_path)
    made = stage.made()
    (stage.project / path).write_text(made[path][: len(made[path]) // 2])
    ran = stage()
    said = [line for line in ran.text.splitlines() if line.startswith("error: ")]
    assert (ran.status, said) == (1, [f"error: {path}: missing or damaged; delete it and run again"])
    (stage.project / path).unlink()
    assert stage().status == 0
    assert stage.made() == made
