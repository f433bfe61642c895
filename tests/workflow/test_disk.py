"""A disk that is full, and full again: with room, the same command makes what it would have made."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

import matrix
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
