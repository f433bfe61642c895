"""Pay only for what changed: every row of matrix.py, with stages that are only played."""

from collections import Counter
from collections.abc import Iterator
from typing import get_args

import pytest

import matrix
import rerun
from clevam.config import Config, Section
from conftest import ROOT
from stage import write


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


@pytest.mark.parametrize("rule", sorted(matrix.ALL.keys() - {"keyframe", "mask", "edited"}))
def test_a_job_that_fails_once_after_a_change_leaves_nothing_stale(staged, replaced, tmp_path, rule):
    """Snakemake records a failed job as it does others; only what is asked for by name is made again."""
    stage = staged("words").copy(tmp_path)
    matrix.replace("clip.mp4")(stage.project, stage.tree)
    write(stage.project / "fail-once" / rule, "")
    failed = stage()
    assert (failed.status, f"{rule} fails once" in failed.text) == (1, True)
    again = stage()
    assert again.status == 0, again.text
    assert failed.jobs + again.jobs == matrix.ALL
    assert stage.made() == replaced
    assert "Nothing to be done" in stage("--dry-run").text


@pytest.fixture(scope="session")
def replaced(staged, tmp_path_factory) -> dict[str, str]:
    """What comes of another clip where nothing fails."""
    stage = staged("words").copy(tmp_path_factory.mktemp("replaced"))
    matrix.replace("clip.mp4")(stage.project, stage.tree)
    assert stage().status == 0
    return stage.made()


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
