"""Many videos: a table of them, and one that fails among others."""

import json

import pytest

import matrix
from clevam import outcome
from clevam.errors import UserError
from clevam.jobs import resolve
from conftest import ROOT
from stage import Stage, copy_workflow, furnish, write

TABLE = """name	path	find	replace	edit.guidance	box	masks.path
dog	clip.mp4	the dog	no	7	[1, 2, 30, 40]
cat	moved.mp4	the cat	a fox			masks.mkv

"""


def resolved(tmp_path, text, **config):
    write(tmp_path / "clips.tsv", text)
    return resolve({"videos": str(tmp_path / "clips.tsv")} | config)


def test_a_table_is_its_lines_with_the_keys_that_are_given(tmp_path):
    asked = resolved(tmp_path, TABLE, edit={"guidance": 3})
    written = {
        "dog": {"path": "clip.mp4", "find": "the dog", "replace": "no", "edit": {"guidance": 7}, "box": [1, 2, 30, 40]},
        "cat": {"path": "moved.mp4", "find": "the cat", "replace": "a fox", "masks": {"path": "masks.mkv"}},
    }
    assert asked == resolve({"videos": written, "edit": {"guidance": 3}})
    assert asked.jobs["dog"].replace == ["no"]  # a word, not YAML's false


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("path\tfind\nclip.mp4\tthe dog\n", "its first line names the columns, each once, separated by tabs"),
        ("", "its first line names the columns"),
        ("name\tname\n", "its first line names the columns, each once"),
        ("name\tpath\ndog\tclip.mp4\tmore\n", "line 2: 3 cells, but there are 2 columns"),
        ("name\tpath\n\tclip.mp4\n", "line 2: it has no name"),
        ("name\tpath\ndog\ta.mp4\n\ndog\tb.mp4\n", "line 4: there is another dog above"),
        ("name\tpath\tbox\ndog\ta.mp4\t[1, 2\n", "line 2: box: '[1, 2' cannot be understood"),
        ("name\tpath\trange\trange.end\ndog\ta.mp4\t5\t6\n", "line 2: range.end: '6' cannot be understood"),
        ("name\tpath\tcolour\ndog\ta.mp4\tred\n", "videos.dog.colour: unknown key"),
        ("name\tpath\tedit.guidance\ndog\ta.mp4\thigh\n", "videos.dog.edit.guidance: should be a number, not 'high'"),
        ("name\n", "videos: should not be empty"),
    ],
)  # fmt: skip
def test_a_mistake_in_a_table_is_told_with_its_line_or_key(tmp_path, text, said):
    with pytest.raises(UserError) as error:
        resolved(tmp_path, text)
    assert said in str(error.value)


def test_a_table_that_is_not_there_is_told():
    with pytest.raises(UserError, match=r"videos: clips\.tsv cannot be read as a table of videos: .*No such file"):
        resolve({"videos": "clips.tsv"})


def test_one_video_that_fails_stops_no_other_and_the_end_says_what_failed_why_and_where(rehearsal, tmp_path):
    stage = Stage(rehearsal, tmp_path, {"videos": "clips.tsv", "keyframes": {"every": 20}, "models": matrix.MODELS})
    furnish(stage.project)
    copy_workflow(stage.tree)
    write(stage.project / "clips.tsv", TABLE)
    stage.configure()
    write(stage.project / "fail-once/candidates", "")
    ran = stage()
    assert ran.status == 1
    failed = [line for line in ran.text.splitlines() if line.startswith(("failed:", "not made", "made:"))]
    assert len(failed) == 3
    bad = "dog" if "candidates of dog" in failed[0] else "cat"
    good = {"dog": "cat", "cat": "dog"}[bad]
    assert failed[0].startswith(f"failed: candidates of {bad}, 000")
    assert f"candidates fails once (log: logs/candidates/{bad}/000" in failed[0]
    assert failed[1:] == [f"not made because of it: out/{bad}.mp4", f"made: out/{good}.mp4"]
    again = stage()
    assert again.status == 0, again.text
    assert f"made: out/{bad}.mp4" in again.text


COUNTED = """
from snakemake.scheduling.job_scheduler import JobScheduler
ASKED_FOR, UPDATE = [], JobScheduler.update_input_sizes
async def counted(self, jobs):
    ASKED_FOR.extend(str(job.output) for job in jobs)
    await UPDATE(self, jobs)
JobScheduler.update_input_sizes = counted
onsuccess:
    print("all with files:", sum(bool(job.input) for job in workflow.dag._jobid if job.rule.name == "all"))
    print("sizes looked up again:", len(ASKED_FOR) > len({*ASKED_FOR}))
"""


def test_a_long_table_is_not_looked_at_anew_for_every_job(rehearsal, tmp_path):
    """Snakemake keeps the files of each `all` that was, and after every job looks up sizes for all that wait."""
    stage = Stage(rehearsal, tmp_path, {"videos": "clips.tsv", "models": matrix.MODELS})
    furnish(stage.project)
    copy_workflow(stage.tree)
    write(stage.project / "clips.tsv", TABLE)
    stage.configure()
    snakefile = stage.tree / "Snakefile"
    snakefile.write_text(snakefile.read_text() + COUNTED)
    ran = stage()
    assert ran.status == 0
    assert "all with files: 1\n" in ran.text
    assert "sizes looked up again: False\n" in ran.text


def test_an_error_is_what_was_said_to_the_user_or_the_last_line_of_the_log(tmp_path):
    log = tmp_path / "a.log"
    log.write_text("step 1\nerror: dog.mp4: not a video\ncleaning up\n")
    assert outcome.why(str(log)) == f"dog.mp4: not a video (log: {log})"
    log.write_text("Traceback\n  File x\nMemoryError: 3 GB\n\n")
    assert outcome.why(str(log)) == f"MemoryError: 3 GB (log: {log})"
    assert outcome.why(str(tmp_path / "none.log")) == "its error is shown above"


def test_the_schema_takes_a_table():
    schema = json.loads((ROOT / "config/schema.json").read_text())
    assert {"type": "string"} in schema["properties"]["videos"]["anyOf"]
