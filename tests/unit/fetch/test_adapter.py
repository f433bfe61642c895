"""adapter.py: which scripts may ask the network, and where they show what they do."""

import errno
import os
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from clevam import adapter
from clevam.errors import UserError


@pytest.fixture
def job(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.delenv("HF_HUB_OFFLINE")
    return SimpleNamespace(log=[tmp_path / "log"], params=SimpleNamespace(settings={}), resources={})


@pytest.mark.parametrize(("online", "offline"), [(False, "1"), (True, None)])
def test_a_stage_never_asks_the_network_and_fetch_may(job, online, offline):
    with adapter.stage(job, online=online):
        assert os.environ.get("HF_HUB_OFFLINE") == offline
        assert os.environ["HF_HUB_DISABLE_TELEMETRY"] == "1"


@pytest.mark.parametrize("online", [False, True])
def test_progress_goes_to_the_log_or_to_the_terminal_and_an_error_to_the_log(job, online, capsys):
    with pytest.raises(SystemExit), adapter.stage(job, online=online):
        print("half of it", file=sys.stderr)
        raise UserError("too late")
    said, error = "half of it\n", "error: too late\n"
    shown, logged = capsys.readouterr().err, job.log[0].read_text()
    assert (shown, logged) == ((said, error) if online else ("", said + error))


def test_ctrl_c_is_said_in_a_word_and_no_traceback(job):
    with pytest.raises(SystemExit), adapter.stage(job):
        raise KeyboardInterrupt
    assert job.log[0].read_text() == "error: interrupted\n"


def test_a_full_disk_is_said_in_one_line_whatever_a_library_calls_it(job, monkeypatch):
    full = f"error: the disk of {Path.cwd()} is full; make room and run again\n"
    with pytest.raises(SystemExit), adapter.stage(job):
        Path("/dev/full").write_text("something")
    assert job.log[0].read_text() == full
    monkeypatch.setattr(adapter.shutil, "disk_usage", lambda path: SimpleNamespace(free=0))
    with pytest.raises(SystemExit), adapter.stage(job):
        raise RuntimeError("PytorchStreamWriter failed writing file data/0: file write failed")
    assert job.log[0].read_text() == full


def test_a_folder_that_must_not_be_written_to_is_named(job):
    with pytest.raises(SystemExit), adapter.stage(job):
        raise PermissionError(errno.EACCES, "Permission denied", "flow/ball/.0000.part")
    said = "error: flow/ball/.0000.part: Permission denied; see to its permissions and run again\n"
    assert job.log[0].read_text() == said
