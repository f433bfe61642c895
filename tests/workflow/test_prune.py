"""`snakemake prune`: what nothing asks for any more, and nothing else."""

import shutil

import pytest

import matrix
from stage import write


def files(stage):
    """All that is in the project's folder but for logs and Snakemake's own."""
    paths = (path.relative_to(stage.project) for path in stage.project.rglob("[!.]*") if path.is_file())
    return {str(path) for path in paths if path.parts[0] not in ("logs", ".snakemake")}


def listed(ran):
    return {line.split("MB  ")[1] for line in ran.text.splitlines() if "MB  " in line and " results that " not in line}


@pytest.fixture
def stage(staged, tmp_path):
    return staged("edits").copy(tmp_path)


def test_of_a_finished_run_nothing_is_surplus(stage):
    ran = stage("prune")
    assert ran.status == 0, ran.text
    assert listed(ran) == set()
    assert "in 0 results" in ran.text


def test_a_removed_edit_is_listed_and_removed_when_told_to(stage):
    before = files(stage)
    stage.configure(**matrix.ball(edits={"moon": None}))
    ran = stage("prune")
    assert "add `--config yes=1`" in ran.text
    assert files(stage) == before
    removed = stage("prune", "--config", "yes=1")
    assert removed.status == 0, removed.text
    gone = before - files(stage)
    assert {path.split("/")[-2] for path in gone if path.endswith("000020.png")} == {"ball.moon", "0000"}
    assert {"out/ball.moon.mp4", "edited/ball.moon/reference.png"} <= gone
    assert all("ball.moon" in path for path in gone)
    assert not (stage.project / "edited/ball.moon").exists()
    assert "Nothing to be done" in stage("--dry-run").text


def test_keyframes_that_are_none_any_more_go_and_what_is_shared_stays(stage):
    stage.configure(keyframes={"every": 30})
    assert stage().status == 0
    before = files(stage)
    assert stage("prune", "--config", "yes=1").status == 0
    stale = {f"{stage}/{idx}.png" for stage in ("keyframes/ball", "masks/ball", "edited/ball", "edited/ball.moon")
             for idx in ("000020", "000040")}  # fmt: skip
    assert before - files(stage) == stale
    assert "Nothing to be done" in stage("--dry-run").text


def test_another_inversion_and_another_container_leave_theirs_behind(stage):
    old = {path.name for path in (stage.project / "work/inverted/ball").iterdir()}
    stage.configure(edit={"steps": 5}, encode={"container": "mkv"})
    assert stage().status == 0
    (way,) = old
    assert listed(stage("prune")) == {
        *(f"work/inverted/ball/{way}/{part}" for part in ("0000", "0001", "reference")),
        "out/ball.mp4",
        "out/ball.moon.mp4",
    }


def test_what_a_user_painted_brought_or_linked_stays(stage, tmp_path):
    """Even in the folders of the results, and of videos that are gone."""
    own = ["masks_override/ball/000020.png", "edited_override/old/000020.png", "out/notes.txt", "masks/mine/000000.png"]
    for path in own:
        write(stage.project / path, "mine")
    elsewhere = tmp_path / "elsewhere"
    shutil.move(stage.project / "edited/ball.moon", elsewhere)
    (stage.project / "edited/ball.moon").symlink_to(elsewhere)
    # A result of one edit that another video begins with
    stage.configure(**matrix.ball(path="out/ball.moon.mp4", edits={"moon": None}))
    ran = stage("prune", "--config", "yes=1")
    assert ran.status == 0, ran.text
    assert all((stage.project / path).exists() for path in own)
    assert (elsewhere / "000020.png").exists()
    assert (stage.project / "out/ball.moon.mp4").exists()
    assert not (stage.project / "work/out/ball.moon").exists()
