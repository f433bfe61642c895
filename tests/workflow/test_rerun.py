"""Pay only for what changed."""

import os

import numpy as np
import pytest
from PIL import Image

from conftest import edit

EDIT = {"reference": 1, "edit": 2, "edited": 4, "out": 1}


@pytest.mark.parametrize(
    ("changes", "jobs"),
    [
        (edit(replace="a yellow moon"), EDIT),
        ({"edit": {"guidance": 7}}, EDIT),
        ({"edit": {"seed": 1}}, EDIT),
        ({"encode": {"lossless": False, "crf": 30}}, {"out": 1}),
        ({"encode": {"preset": "superfast"}}, {"out": 1}),
        ({"flow": {"preset": "fast"}}, {"flow": 2, "out": 1}),
        ({"masks": {"feather": 7}}, {"plan": 1}),  # then all edits, and flow only where the plan differs
        ({"runtime": {"device": "cpu"}}, {}),
        (edit(edits={"same": {"replace": "a green star"}}), EDIT),
    ],
    ids=str,
)
def test_a_changed_key_runs_exactly_the_stages_that_use_it(finished, changes, jobs):
    assert finished.plan(**changes) == jobs


def test_swapping_find_and_replace_is_noticed(finished):
    assert finished.plan(**edit(find="a green star", replace="the red striped circle")) == EDIT


def test_touching_everything_runs_nothing(project):
    os.utime(project / "clip.mp4")
    for path in sorted(project.folder.rglob("*.png")):
        os.utime(path)
    assert project.plan() == {}


def test_a_moved_folder_runs_nothing(project):
    assert "Nothing to be done" in project("--dry-run").text


def test_a_painted_keyframe_runs_its_copy_and_out_and_is_in_the_result(project):
    painted = np.zeros((96, 160, 3), np.uint8)
    painted[..., 0] = 255
    folder = project / "edited_override/ball"
    folder.mkdir(parents=True)
    Image.fromarray(painted).save(folder / "000020.png")
    ran = project()
    assert ran.status == 0, ran.text
    assert ran.jobs == {"edited": 1, "out": 1}
    assert (project / "edited/ball/000020.png").read_bytes() == (folder / "000020.png").read_bytes()
    assert "Nothing to be done" in project("--dry-run").text


def test_a_painted_mask_that_changes_no_plan_runs_its_block_only(project):
    mask = np.asarray(Image.open(project / "masks/ball/000020.png")).copy()
    rows, columns = np.nonzero(mask)
    mask[rows[len(rows) // 2], columns[len(rows) // 2]] = 0  # a hole: the box around A stays
    folder = project / "masks_override/ball"
    folder.mkdir(parents=True)
    Image.fromarray(mask).save(folder / "000020.png")
    ran = project()
    assert ran.status == 0, ran.text
    assert ran.jobs == {"mask": 1, "plan": 1, "edit": 1, "edited": 3, "out": 1}


@pytest.mark.parametrize(
    ("lost", "jobs"),
    [
        ("keyframes/ball/000020.png", {"keyframe": 1}),
        ("edited/ball/000020.png", {"edited": 1}),
        ("out/ball.mp4", {"out": 1}),
    ],
)
def test_a_lost_file_is_made_again_and_nothing_below_it_that_stays_the_same(project, lost, jobs):
    (project / lost).unlink()
    ran = project(lost)
    assert ran.status == 0, ran.text
    assert ran.jobs == jobs


def test_a_job_that_failed_once_after_a_change_leaves_no_stale_result(project):
    """The device is asked for at run time and recorded nowhere: only the failure itself can be remembered."""
    before = (project / "out/ball.mp4").read_bytes()
    change = edit(replace="a yellow moon")
    failed = project(**change, runtime={"device": "cuda"})
    assert failed.status != 0
    assert (
        "error: runtime.device: cuda, but this machine has no usable CUDA device; set it to auto or cpu" in failed.text
    )
    again = project(**change)
    assert again.status == 0, again.text
    assert again.jobs == EDIT
    assert (project / "out/ball.mp4").read_bytes() != before
    assert "Nothing to be done" in project("--dry-run", **change).text
