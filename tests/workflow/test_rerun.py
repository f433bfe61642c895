"""Pay only for what changed: every row of matrix.py, with stages that are only played."""

import re
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import get_args

import pytest

import matrix
import rerun
from clevam.config import Config, Section
from conftest import ROOT
from stage import Stage, write


@pytest.mark.parametrize("row", matrix.ROWS, ids=lambda row: row.change)
def test_after_a_change_exactly_these_jobs_run(staged, tmp_path, row):
    stage = staged(row.base).copy(tmp_path)
    stage.configure(**row.config)
    if row.act:
        row.act(stage.project, stage.tree)
    ran = stage()
    assert ran.status == 0, ran.text
    assert ran.jobs == Counter(row.jobs)
    if ran.jobs.keys() & {"keyframes", "choose", "plan"}:
        assert "Nothing to be done" in stage("--dry-run").text


# Of each rule what it takes to have it run: what to begin with, the targets of a run and of one before it
RULES = {rule: ("words", ()) for rule in matrix.ALL} | {
    "attributed": ("attention", ()),
    "subjects": ("pictures", ()),
    "segmented": ("segment", ()),
    "measure": ("strict", ()),
    "perceive": ("eyes", ()),
    "report": ("strict", ()),
    "summary": ("strict", ()),
    "judge": ("strict", ()),
    "film": ("words", ("masks_video",)),
    "trials": ("sweep", ("sweep",)),
    "tried": ("words", ("preview",)),
    "previewed": ("words", ("preview",)),
    "environment": ("words", ("environments",)),
    "fetch": ("words", ("fetch",)),
}
HAND_OUTS = {"keyframe": "keyframes", "mask": "masks", "edited": "edited"}  # which are no scripts


@pytest.mark.parametrize("rule", RULES)
def test_a_job_that_fails_once_after_a_change_leaves_nothing_stale(staged, replaced, tmp_path, rule):
    """Snakemake records a failed job as it does others; only what is asked for by name is made again."""
    base, targets = RULES[rule]
    stage = staged(base).copy(tmp_path)
    matrix.replace("clip.mp4", "star.png")(stage.project, stage.tree)
    with failing(stage, rule):
        failed = stage(*targets)
    assert failed.status == 1
    again = stage(*targets)
    assert again.status == 0, again.text
    made, jobs = replaced(base, targets)
    assert failed.jobs + again.jobs == jobs
    assert stage.made() == made
    if rule != "fetch":  # which looks each time
        assert "Nothing to be done" in stage("--dry-run", *targets).text


def test_every_rule_that_writes_something_is_among_these():
    written = {name for text in RULE_FILES for name, body in rules_in(text) if "output:" in body}
    assert written - {"fetch"} == RULES.keys() - {"fetch"}


RULE_FILES = [path.read_text() for path in (ROOT / "rules").glob("*.smk")]


def rules_in(text: str) -> list[tuple[str, str]]:
    """The names and bodies of the rules in a file."""
    parts = re.split(r"^(?:rule|checkpoint) (\w+):$", text, flags=re.MULTILINE)
    return list(zip(parts[1::2], parts[2::2], strict=True))


@contextmanager
def failing(stage: Stage, rule: str) -> Iterator[None]:
    """Have a job of the rule fail."""
    if rule in HAND_OUTS:
        part = stage.project / HAND_OUTS[rule] / "ball/000020.png.part"
        part.symlink_to("/dev/full")
        yield
        part.unlink()
    else:
        write(stage.project / "fail-once" / rule, "")
        yield
        assert not (stage.project / "fail-once" / rule).exists()


@pytest.fixture(scope="session")
def replaced(staged, tmp_path_factory) -> Callable[[str, tuple], tuple[dict[str, str], Counter]]:
    """What comes of another clip where nothing fails, and the jobs that make it."""

    @cache
    def of(base: str, targets: tuple[str, ...]) -> tuple[dict[str, str], Counter]:
        stage = staged(base).copy(tmp_path_factory.mktemp("replaced"))
        matrix.replace("clip.mp4", "star.png")(stage.project, stage.tree)
        ran = stage(*targets)
        assert ran.status == 0, ran.text
        return stage.made(), ran.jobs

    return of


def test_the_documents_hold_the_table():
    assert (ROOT / "docs/rerun.md").read_text() == rerun.document()
    assert (ROOT / "README.md").read_text() == rerun.readme((ROOT / "README.md").read_text())


def test_a_row_runs_nothing_just_where_readme_says_so():
    assert {row.group for row in matrix.ROWS} == matrix.SUMMARY.keys()
    for row in matrix.ROWS:
        assert (row.group == matrix.NOTHING) == (not row.jobs) or row.group in (matrix.CODE, matrix.LOST)


def test_every_key_of_the_configuration_has_a_row():
    assert set(keys(Config)) == {key for row in matrix.ROWS for key in row.keys}


def keys(model: type[Section], prefix: str = "") -> Iterator[str]:
    """All keys, with dots; those under `edits` and the sections of a video are the same again."""
    for name, field in model.model_fields.items():
        inner = next((a for a in parts(field.annotation) if isinstance(a, type) and issubclass(a, Section)), None)
        if inner is None or name == "edits":
            yield prefix + name
        elif not prefix or name not in Config.model_fields:
            yield from keys(inner, f"{prefix}{name}.")


def parts(annotation: object) -> Iterator[object]:
    yield annotation
    for argument in get_args(annotation):
        yield from parts(argument)
