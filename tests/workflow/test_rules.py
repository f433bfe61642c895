"""Each rule alone, on the finished inputs of all the others, makes the same bytes again."""

import re

import pytest

from clevam.files import read_json
from conftest import ROOT

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
    cores = "2" if rule in NETWORKS else "1"  # a network's sums depend on the number of its threads
    ran = project("--cores", cores, "--allowed-rules", rule, "--force", target)
    assert ran.status == 0, ran.text
    assert ran.jobs == {rule: 1}
    assert contents(project / target) == before


def test_every_rule_of_a_video_is_covered(finished):
    listed = finished("--list-rules").text.split("Using workflow specific profile")[0].split()
    beside = {"all", "environment", "environments", "fetch"}
    beside |= {"prune"}  # in test_prune.py
    beside |= {"subjects", "sweep", "trials", "attributed"}  # in test_changes.py
    beside |= {"segmented", "film", "masks_video"}  # in test_between.py
    beside |= {"preview", "tried", "previewed"}  # in test_preview.py
    beside |= {"measure", "perceive", "report", "summary", "judge"}  # in test_report.py
    assert set(listed) - beside == set(TARGETS)


NETWORKS = {
    "candidates", "attributed", "segmented", "subjects", "invert", "reference", "tried", "edit", "flow", "perceive",
}  # fmt: skip


def test_every_rule_with_a_network_says_what_it_needs():
    """And all others say that they need no card."""
    rules = re.findall(r"^(?:rule|checkpoint) (\w+):(.*?)(?=^rule|^checkpoint|\Z)", texts(), re.M | re.S)
    assert {name for name, body in rules if "**on_gpu(" in body} == NETWORKS
    assert not [name for name, body in rules if "gpu=" in body]


def texts():
    return "\n".join(path.read_text() for path in sorted((ROOT / "rules").glob("*.smk")))


def test_a_job_on_a_card_tells_the_scheduler_so_and_one_that_keeps_to_the_cpu_does_not(staged, tmp_path):
    stage = staged("words").copy(tmp_path)

    def asked(log):
        return read_json(stage.project / "logs" / log).items()

    card = {"gpu": 1, "mem_mb": 12000, "runtime": 120, "vram_mb": 12000, "gpu_share": 1, "device": "auto"}
    assert card.items() <= asked("edit/ball/0000.log")
    assert {"gpu": 1, "vram_mb": 6000}.items() <= asked("candidates/ball/0000.log")
    assert {"gpu": 0, "vram_mb": 0, "mem_mb": 2000}.items() <= asked("flow/ball/0000.log")
    stage.configure(runtime={"device": "cpu"}, edit={"guidance": 7})
    assert stage().status == 0
    assert {"gpu": 0, "vram_mb": 0, "mem_mb": 12000, "device": "cpu"}.items() <= asked("edit/ball/0000.log")
