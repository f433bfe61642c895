"""Reports: they follow from what a run made, and nothing follows from them."""

import csv
import subprocess
from pathlib import Path

import pytest

from clevam.files import read_json
from conftest import ROOT, edit

SHOWN = {"measure": 1, "report": 1, "summary": 1}
ON = {"report": {"enabled": True}}
TARGETS = {
    "measure": "work/report/ball",
    "report": "report/ball/index.html",
    "summary": "report/summary.html",
}


@pytest.fixture(scope="module")
def shown(finished, tmp_path_factory):
    """A finished run with its report. Do not change it: copy it."""
    project = finished.copy(tmp_path_factory.mktemp("report") / "project")
    project.config = project.config | ON
    ran = project()
    assert ran.status == 0, ran.text
    assert ran.jobs == SHOWN
    assert "report: report/ball/index.html" in ran.text
    return project


def test_a_second_run_has_nothing_to_do(shown):
    assert "Nothing to be done" in shown("--dry-run").text


def test_a_result_without_loss_is_exact_outside_of_a(shown):
    told = read_json(shown / "report/ball/metrics.json")["edits"]["ball"]
    assert told["summary"]["exactness"]["worst"] == 1
    assert told["frames"] == {"expected": 60, "found": 60, "off": 0}
    assert told["series"]["confidence"][20] is None  # a keyframe
    assert told["series"]["confidence"][10] > 0.3
    with (shown / "report/summary.tsv").open() as stream:
        (row,) = csv.DictReader(stream, delimiter="\t")
    assert (row["result"], row["exactness"]) == ("ball", "1")


def test_the_page_tells_what_the_run_was_and_what_it_took(shown):
    page = (shown / "report/ball/index.html").read_text()
    for text in ("the red circle → a green star", "&#34;steps&#34;: 2", "stretch", "diffusers", "models.diffusion"[7:]):
        assert text in page
    assert 'href="../../out/ball.mp4"' in page
    assert 'href="../../logs/stretch/ball/0000.log"' in page


@pytest.mark.parametrize("rule", TARGETS)
def test_a_rule_alone_repeats_its_result_to_the_byte(shown, tmp_path, rule):
    project = shown.copy(tmp_path / "project")
    target = project / TARGETS[rule]

    def contents():
        files = target.glob("[!.]*") if target.is_dir() else [target]
        return {file.name: file.read_bytes() for file in files if not file.name.startswith(".")}

    before = contents()
    ran = project("--allowed-rules", rule, "--force", TARGETS[rule])
    assert ran.status == 0, ran.text
    assert ran.jobs == {rule: 1}
    assert contents() == before


@pytest.mark.parametrize(
    ("changes", "jobs"),
    [
        ({"report": {"alarm": {"confidence": 0.2}}}, {"report": 1, "summary": 1}),
        ({"runtime": {"batch": 4}}, {}),
        (edit(replace="a moon"), {"reference": 1, "edit": 2, "edited": 4, "stretch": 1, "out": 1} | SHOWN),
        (
            edit(edits={"moon": {"replace": "a moon"}}),
            {"reference": 1, "edit": 2, "edited": 4, "stretch": 1, "out": 1} | SHOWN,
        ),
    ],
    ids=str,
)
def test_a_changed_key_shows_again_what_it_changes(shown, changes, jobs):
    assert shown.plan(**changes) == jobs


def test_what_is_asked_for_by_name_needs_no_report(shown):
    assert shown("--dry-run", "out/ball.mp4", **edit(replace="a moon")).jobs["measure"] == 0


def test_networks_look_at_it_where_their_weights_are_named_and_are_here(shown, tmp_path, monkeypatch):
    shown("work/environments/perceive.json")
    python = Path(read_json(shown / "work/environments/perceive.json")["prefix"]) / "bin/python"
    subprocess.run([python, ROOT / "tests/eyes.py", tmp_path], check=True)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    project = shown.copy(tmp_path / "project")
    ran = project(models={"lpips": "SqueezeNet1_1_Weights.IMAGENET1K_V1", "clip": str(tmp_path / "clip")})
    assert ran.status == 0, ran.text
    assert ran.jobs == {"perceive": 1, "report": 1, "summary": 1}
    told = read_json(project / "report/ball/metrics.json")
    assert told["not_measured"] == {}
    assert told["edits"]["ball"]["summary"]["lpips"]["mean"] > 0  # of the soft rim, which is not blanked
    assert -1 <= told["edits"]["ball"]["summary"]["clip_text_region"]["mean"] <= 1
    missing = project("--dry-run", models={"clip": "openai/clip-vit-base-patch32"})
    assert missing.status != 0
    assert "models.clip: there is no folder openai/clip-vit-base-patch32 here, and" in missing.text


def test_what_is_red_ends_a_strict_run_with_an_error_every_time_and_says_so_in_any_other(shown, tmp_path):
    project = shown.copy(tmp_path / "project")
    red = {"alarm": {"background_psnr": 101}}
    ran = project(report=red)
    assert ran.status == 0, ran.text
    assert "warning: ball: Background PSNR" in ran.text
    for _ in range(2):
        strict = project(report=red | {"strict": True})
        assert strict.status != 0
        assert strict.jobs == {}
        assert "error: report.strict: ball: Background PSNR" in strict.text
    assert project(report={"strict": True}).status == 0
