"""A stage's code: exactly what its script imports, by content."""

import os
import shutil

import pytest

from clevam import closure
from conftest import ROOT

VIDEO = {"video", "damage", "hdr", "yuv", "orientation", "geometry"}
PAINTER = {
    "edit",
    "budget",
    "diffusion",
    "device",
    "attention",
    "phrases",
    "sampler",
    "store",
    "geometry",
    "images",
    "control",
    "adapters",
    "subject",
    "grid",
    "spare",
    "twin",
    "uncompiled",
    "warm",
}
FINDER = {"finder", "detector", "segmenter", "states", "device", "candidates", "images", "uncompiled", "warm"}
MEASURE = {"measure", "metrics", "figures", "proxies", "flow", "images", *VIDEO}
STAGES = {
    "keyframes": {"keyframes", "warm", "adaptive", "flow", "geometry", "images", *VIDEO},
    "extract": {"keyframes", "images", *VIDEO},
    "candidates": {"locate", *FINDER, *VIDEO},
    "attributed": {
        "attribution",
        "candidates",
        "images",
        "diffusion",
        "device",
        "sampler",
        "attention",
        "control",
        "adapters",
        "subject",
        "phrases",
        "uncompiled",
        "warm",
    },
    "choose": {"identity", "candidates", "images"},
    "masks": {"masks", "candidates", "shapes", "images"},
    "subjects": {"cutout", *FINDER},
    "plan": {"plan", "geometry", "images"},
    "edit": PAINTER,
    "tried": PAINTER,
    "preview": {"preview", "doubts", "html", "images", "proxies", "geometry"},
    "sweep": {"trials", "images", "geometry"},
    "flow": {"flow", "geometry", "raft", "states", "device", "uncompiled", *VIDEO},
    "carried": {"carry", "flow", "geometry", "images", "shapes", "snap", "locate", "candidates", *VIDEO},
    "segmented": {
        "carry",
        "flow",
        "geometry",
        "images",
        "shapes",
        "outline",
        "candidates",
        "segmenter",
        "states",
        "device",
        "warm",
        *VIDEO,
    },
    "masks_video": {"carry", "flow", "geometry", "images", "shapes", *VIDEO},
    "stretch": {"propagate", "blend", "light", "steady", "encode", "flow", "geometry", "images", *VIDEO},
    "out": {"join", "encode", "video", "damage", "geometry", "hdr", "yuv"},
    "measure": MEASURE,
    "perceive": {"perceive", "device", "uncompiled", "warm", *MEASURE},
    "report": {"page", "html", "alarms", "benchmarks", "doubts", "figures", *VIDEO - {"orientation"}},
    "summary": {"summary", "html", "figures"},
    "judge": {"summary", "html", "figures"},
}
ALWAYS = {"__init__", "adapter", "alone", "errors", "files"}


@pytest.fixture
def scripts(tmp_path):
    return shutil.copytree(ROOT / "scripts", tmp_path / "scripts")


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_is_its_script_and_the_modules_it_imports_directly_or_not(stage):
    modules = {path.stem for path in closure.modules(ROOT / "scripts" / f"{stage}.py") if path.parent.name == "clevam"}
    assert modules == STAGES[stage] | ALWAYS


def test_no_stage_depends_on_the_configurations_models():
    for script in (ROOT / "scripts").glob("*.py"):
        assert not {"config", "jobs"} & {path.stem for path in closure.modules(script)}


def test_a_touch_or_another_folder_changes_no_digest(scripts):
    os.utime(scripts / "edit.py")
    assert closure.digest(scripts / "edit.py") == closure.digest(ROOT / "scripts" / "edit.py")


def test_an_edited_module_changes_the_digests_of_its_stages_only(scripts):
    before = {stage: closure.digest(scripts / f"{stage}.py") for stage in STAGES}
    with (scripts / "clevam" / "attention.py").open("a") as module:
        module.write("# changed\n")
    changed = {stage for stage in STAGES if closure.digest(scripts / f"{stage}.py") != before[stage]}
    assert changed == {"edit", "tried", "attributed"}
