"""Another workflow uses this one as a module, with a prefix."""

import json

import pytest

import matrix
from clevam.files import discard
from clevam.prune import RESULTS
from stage import write

SNAKEFILE = """
module clevam:
    snakefile: "../clevam/Snakefile"
    config: config
    prefix: "edits"

use rule * from clevam as clevam_*

rule all:
    default_target: True
    input:
        rules.clevam_all.input,
        "mine.txt",

rule mine:
    input: "edits/out/ball.mp4"
    output: "mine.txt"
    shell: "cp {input} {output}"
"""
OPTIONS = [
    "--rerun-triggers",
    "mtime",
    "params",
    "input",
    "--max-checksum-file-size",
    "100000000",
    "--scheduler",
    "greedy",
]


@pytest.fixture
def outer(staged, tmp_path):
    """A workflow beside this one, in the folder of a project that has not run."""
    stage = staged("words").copy(tmp_path)
    for name in (".snakemake", *RESULTS):
        discard(stage.project / name)
    write(stage.project / "Snakefile", SNAKEFILE)
    return stage


def test_it_runs_with_all_results_under_the_prefix_and_nothing_twice(outer):
    ran = outer.run("Snakefile", *OPTIONS)
    assert ran.status == 0, ran.text
    assert {name.removeprefix("clevam_"): count for name, count in ran.jobs.items()} == matrix.ALL | {"mine": 1}
    made = {path.name for path in outer.project.iterdir()}
    assert {"edits", "mine.txt", "clip.mp4"} <= made
    assert not made & set(RESULTS)
    assert json.loads((outer.project / "mine.txt").read_text())
    assert "Nothing to be done" in outer.run("Snakefile", *OPTIONS, "--dry-run").text


def test_a_change_runs_what_it_runs_otherwise(outer):
    assert outer.run("Snakefile", *OPTIONS).status == 0
    outer.configure(**matrix.ball(replace="a yellow moon"))
    write(outer.project / "edits/edited_override/ball/000020.png", "painted")
    ran = outer.run("Snakefile", *OPTIONS)
    assert ran.status == 0, ran.text
    assert {name.removeprefix("clevam_"): count for name, count in ran.jobs.items()} == matrix.EDIT | {"mine": 1}
    assert (outer.project / "edits/edited/ball/000020.png").read_text() == "painted"
