"""`snakemake preview`: the reference from several seeds, before the whole is edited."""

import shutil

import pytest

from clevam.config import Preview
from clevam.errors import UserError
from clevam.jobs import resolve
from conftest import Project
from stage import Stage, write

CLIP = {"path": "dog.mp4", "find": "the dog", "replace": "a fox", "box": [1, 2, 3, 4]}
PAGE = {"previewed": 1, "preview": 1}


def tried(edit: dict, **preview: object) -> dict:
    """What is to be set for each that a preview tries."""
    job = resolve({"videos": {"dog": CLIP | {"edit": edit}}}).jobs["dog"]
    return {name: keys for name, (_, keys) in job.tried(Preview(**preview)).items()}


# ---- what is tried ---------------------------------------------------------------------------------------------


def test_an_edit_that_starts_from_noise_is_tried_as_it_is_and_with_the_seeds_it_does_not_have():
    assert tried({}, seeds=3) == {"own": {}, "1": {"seed": 1}, "2": {"seed": 2}}
    assert tried({"seed": 7}, seeds=[7, 9]) == {"own": {}, "9": {"seed": 9}}


def test_where_no_seed_counts_seeds_are_tried_from_noise():
    noise = {"start": "noise", "strength": 1.0, "seed": 0}
    assert tried({"start": "inversion", "strength": 0.8}, seeds=1) == {"own": {}, "0": noise}


@pytest.mark.parametrize(
    "edit", [{}, {"start": "inversion"}, {"preset": "sdedit"}, {"start": "source", "strength": 0.5}]
)
def test_what_is_to_be_set_makes_the_job_that_was_tried(edit):
    jobs = resolve({"videos": {"dog": CLIP | {"edit": edit}}}).jobs
    for other, keys in jobs["dog"].tried(Preview(seeds=[5])).values():
        assert resolve({"videos": {"dog": CLIP | {"edit": edit | keys}}}).jobs["dog"] == other


def test_a_given_reference_leaves_nothing_to_try():
    assert tried({"reference": "mine.png"}) == {"own": {}}


@pytest.mark.parametrize("seeds", [0, 100, [], [-1], "three"])
def test_seeds_are_a_number_of_them_or_a_list(seeds):
    with pytest.raises(UserError, match=r"config: preview\.seeds"):
        resolve({"videos": {"dog": CLIP}, "preview": {"seeds": seeds}})


# ---- what runs -------------------------------------------------------------------------------------------------


@pytest.fixture
def stage(staged, tmp_path) -> Stage:
    return staged("words").copy(tmp_path)


def test_a_preview_needs_keyframes_masks_plan_and_one_job_of_the_painter(stage):
    for made in ("keyframes", "masks", "plan", "edited", "flow", "work", "out", "masks_frames"):
        shutil.rmtree(stage.project / made)
    ran = stage("preview")
    assert ran.status == 0, ran.text
    found = {"candidates": 2, "choose": 1, "masks": 2, "mask": 4, "plan": 1}
    assert ran.jobs == {"keyframes": 1, "extract": 2, "keyframe": 4} | found | {"tried": 1} | PAGE
    assert "preview: report/ball/preview.html" in ran.text


def test_after_a_run_it_paints_the_references_alone_and_after_itself_nothing(stage):
    assert stage("preview").jobs == {"tried": 1} | PAGE
    assert stage("preview").jobs == {}
    assert stage().jobs == {}


def test_other_seeds_run_the_preview_again_and_nothing_else(stage):
    stage("preview")
    stage.configure(preview={"seeds": [5, 6]})
    assert stage().jobs == {}
    assert stage("preview").jobs == {"tried": 1} | PAGE


def test_a_picture_as_the_reference_must_be_there(stage):
    stage.configure(edit={"reference": "mine.png"})
    ran = stage()
    assert ran.status
    assert "videos.ball.edit.reference: there is no mine.png" in ran.text
    write(stage.project / "mine.png", "painted")
    assert stage().status == 0


# ---- what is chosen --------------------------------------------------------------------------------------------


def test_what_is_chosen_is_taken_over_as_it_was_previewed(project: Project):
    ran = project("preview", preview={"seeds": [3]})
    assert ran.status == 0, ran.text
    assert ran.jobs == {"tried": 1} | PAGE
    previewed = project / "work/preview/ball"
    assert (previewed / "own.png").read_bytes() == (project / "edited/ball/reference.png").read_bytes()
    chosen = project("edited/ball/reference.png", edit={"start": "noise", "seed": 3})
    assert chosen.jobs == {"reference": 1}
    assert (project / "edited/ball/reference.png").read_bytes() == (previewed / "3.png").read_bytes()
    kept = [folder / "step_000.pt" for folder in (previewed / "3", project / "edited/ball/reference")]
    assert kept[0].samefile(kept[1])
