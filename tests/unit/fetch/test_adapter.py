"""adapter.py: which scripts may ask the network, and where they show what they do."""

import os
import sys
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
