"""Nothing is lost: a run that is killed, whenever it is, is finished by the same command.

Stages are only played (rehearsal.py), but jobs, records and locks are Snakemake's own. `make bench-faults` kills real
runs.
"""

import signal
from random import Random

import pytest

import matrix
from stage import Stage, copy_workflow, furnish

CONFIG = {"report": {"enabled": True, "strict": True}} | matrix.ball(subject=matrix.PICTURES)
WRITTEN = {  # something that each rule writes
    "keyframes": "keyframes/ball/*index*",
    "extract": "work/keyframes/ball/*0001*/*",
    "keyframe": "*mv keyframes/ball/000020.png*",
    "candidates": "work/candidates/ball/*0000*/*",
    "choose": "masks/ball/*masks*",
    "masks": "work/masks/ball/*0000*/*",
    "mask": "*mv masks/ball/000020.png*",
    "plan": "plan/*ball*",
    "subjects": "subjects/*ball*/*",
    "invert": "work/inverted/ball/*/*0000*/*",
    "reference": "edited/ball/*reference*/*",
    "edit": "work/edited/ball/*0000*/000020.png",
    "edited": "*mv edited/ball/000040.png*",
    "flow": "flow/ball/*0001*/*",
    "carried": "masks_frames/ball/*0000*/*",
    "stretch": "work/out/ball/*0000*",
    "out": "out/*ball*.mp4",
    "measure": "work/report/*ball*/*",
    "report": "report/ball/*index*",
    "summary": "report/*summary*.html",
    "judge": "work/report/*passed*",
}


@pytest.fixture(scope="module")
def begun(rehearsal, tmp_path_factory) -> Stage:
    """A project of which nothing has run."""
    stage = Stage(rehearsal, tmp_path_factory.mktemp("begun"), matrix.WORDS)
    furnish(stage.project)
    copy_workflow(stage.tree)
    stage.configure(**CONFIG)
    return stage


@pytest.fixture(scope="module")
def done(begun, tmp_path_factory) -> Stage:
    stage = begun.copy(tmp_path_factory.mktemp("done"))
    ran = stage()
    assert ran.status == 0, ran.text
    assert ran.jobs.keys() == WRITTEN.keys()
    return stage


def finished_like(stage: Stage, other: Stage) -> bool:
    assert stage.made() == other.made()
    said = stage("--dry-run").text
    assert "Nothing to be done" in said
    assert "missing provenance" not in said  # of how it was made, without which no change would be noticed
    return True


@pytest.mark.parametrize("there_is", ["nothing", "another clip's results"])
def test_a_run_that_is_killed_in_every_rule_ends_with_what_it_would_have_made(begun, done, tmp_path, there_is):
    first = begun if there_is == "nothing" else done
    stage, clean = (first.copy(tmp_path / name) for name in ("killed", "clean"))
    for each in (stage, clean):
        matrix.replace("clip.mp4", "star.png")(each.project, each.tree)
    assert clean().status == 0
    left = list(WRITTEN.values())
    while left:
        ran = stage(killed=left)
        assert ran.status == -signal.SIGKILL, (left, ran.text)
        left.remove((stage.project / ".killed").read_text())
    ran = stage()
    assert ran.status == 0, ran.text
    assert finished_like(stage, clean)


def test_a_run_that_is_killed_at_any_moment_ends_with_what_it_would_have_made(begun, done, tmp_path):
    moments, stage = Random(0), begun.copy(tmp_path)
    while (ran := stage(killed=moments.randrange(1, 400))).status == -signal.SIGKILL:
        pass
    assert ran.status == 0, ran.text
    assert finished_like(stage, done)


def test_a_change_after_a_kill_makes_nothing_stale(done, tmp_path):
    """What was written, but not recorded, is no match for the new configuration."""
    stage, clean = (done.copy(tmp_path / name) for name in ("killed", "clean"))
    for rule in ("edit", "stretch"):
        stage.configure(**matrix.ball(replace=rule))
        assert stage(killed=[WRITTEN[rule]]).status == -signal.SIGKILL
    for each in (stage, clean):
        each.configure(**matrix.ball(replace="a yellow moon"))
        assert each().status == 0
    assert finished_like(stage, clean)
