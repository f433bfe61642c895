"""Each rule alone, on the finished inputs of all the others, makes the same bytes again."""

import pytest

TARGETS = {
    "keyframes": "keyframes/ball/index.json",
    "extract": "work/keyframes/ball/0000",
    "keyframe": "keyframes/ball/000020.png",
    "candidates": "work/candidates/ball/0000",
    "choose": "masks/ball/masks.json",
    "masks": "work/masks/ball/0000",
    "mask": "masks/ball/000020.png",
    "plan": "plan/ball.json",
    "invert": "work/inverted/ball/*/reference",
    "reference": "edited/ball/reference.png",
    "edit": "work/edited/ball/0000",
    "edited": "edited/ball/000020.png",
    "flow": "flow/ball/0000",
    "carried": "masks_frames/ball/0000",
    "stretch": "work/out/ball/0000.nut",
    "out": "out/ball.mp4",
}


def contents(path):
    files = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
    return {p.name: p.read_bytes() for p in files if not p.name.startswith(".")}


@pytest.mark.parametrize("rule", TARGETS)
def test_a_rule_alone_repeats_its_result_to_the_byte(project, rule):
    (found,) = project.folder.glob(TARGETS[rule])
    target = str(found.relative_to(project.folder))
    before = contents(project / target)
    ran = project("--allowed-rules", rule, "--force", target)
    assert ran.status == 0, ran.text
    assert ran.jobs == {rule: 1}
    assert contents(project / target) == before


def test_every_rule_of_a_video_is_covered(finished):
    listed = finished("--list-rules").text.split("Using workflow specific profile")[0].split()
    beside = {"all", "environment", "environments", "fetch"}
    beside |= {"subjects", "sweep", "trials", "attributed"}  # in test_rerun.py
    beside |= {"segmented", "film", "masks_video"}  # in test_between.py
    assert set(listed) - beside == set(TARGETS)
