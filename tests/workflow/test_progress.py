"""What a run shows while it goes on: the last lines of a terminal, and nothing of that anywhere else."""

import fcntl
import os
import pty
import re
import struct
import termios
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from tqdm.utils import disp_len

from clevam import live
from stage import Stage, write

BAR = "\rstretch:   3%|▎    | 2/60 [00:01<00:29, 2.0frame/s]\rstretch:  30%|███  | 18/60 [00:09<00:21, 1.99frame/s]"
# A drawing, or that it is taken away; a terminal makes \r\n of \n.
REGION = re.compile(r"\x1b\[J(?:((?:\r+\n[^\r\n\x1b]*)+)\x1b\[\d+A\r)?")


class Terminal:
    """A terminal of 100 x 30 characters, and all that was written to it."""

    def __init__(self) -> None:
        self.text = ""
        self.ours, self.theirs = pty.openpty()
        fcntl.ioctl(self.theirs, termios.TIOCSWINSZ, struct.pack("4H", 30, 100, 0, 0))
        self.name = os.ttyname(self.theirs)

    def read(self, until: str, then: Callable[[], None]) -> None:
        """Take what comes, until the other end is closed; call `then` as soon as `until` is there."""
        with suppress(OSError):  # closed
            while piece := os.read(self.ours, 65536):
                self.text += piece.decode(errors="replace")
                if until in self.text:
                    then()


def at_a_terminal(stage: Stage, *args: str) -> tuple[int, str]:
    """Exit status of a run at a terminal, and what was written there. The job `stretch` goes on until its bar is seen,
    or, where nothing is to be shown, not at all."""
    terminal, mark = Terminal(), stage.project / "going-on/stretch"
    if not args:
        write(mark, BAR)
    reader = threading.Thread(target=terminal.read, args=("18/60", lambda: mark.unlink(missing_ok=True)))
    reader.start()
    command = ["--configfile", "config.yaml", "--snakefile", stage.tree / "Snakefile", "--cores", "2", *args]
    try:
        status = stage.rehearsal.saying(terminal.name, stage.project, *command)
    finally:
        os.close(terminal.theirs)
        reader.join()
    return status, terminal.text


@pytest.fixture
def stage(staged, tmp_path) -> Stage:
    """Finished but for the picture."""
    stage = staged("words").copy(tmp_path)
    stage.configure(encode={"crf": 30})
    return stage


def shown(text: str) -> list[list[str]]:
    """The lines of each drawing."""
    return [found.split() and found.replace("\r", "").strip("\n").split("\n") for found in REGION.findall(text)]


def around(text: str) -> str:
    """What was written beside the drawings."""
    return re.sub(r"\x1b\[\d*m", "", REGION.sub("", text)).replace("\r\n", "\n")


def test_a_terminal_shows_the_jobs_at_work_how_far_they_are_and_what_time_is_left(stage):
    status, text = at_a_terminal(stage)
    assert status == 0
    (head, line) = next(lines for lines in shown(text) if any("18/60" in line for line in lines))
    assert re.fullmatch(r"\d+ of \d+ jobs done, 00:\d\d", head)
    assert re.fullmatch(r"stretch +ball, 0000 .* 30%  18/60 frames, 00:21 left", line)


def test_what_snakemake_says_is_left_as_it_is_and_nothing_is_left_of_the_drawings(stage):
    _, text = at_a_terminal(stage)
    (log,) = sorted((stage.project / ".snakemake/log").iterdir())[-1:]
    for line in log.read_text().splitlines():
        assert line in around(text)
    assert "jobs done" not in around(text)
    assert shown(text)[-1] == []


@pytest.mark.parametrize("mark", ["fail-once", "interrupt"])
def test_nothing_is_left_of_it_after_an_error_or_ctrl_c(stage, mark):
    write(stage.project / mark / "stretch", "")
    status, text = at_a_terminal(stage)
    assert status
    assert shown(text)[-1] == []
    assert ("failed: stretch of ball, 0000: stretch fails once" in around(text)) == (mark == "fail-once")


@pytest.mark.parametrize("args", [["--quiet"], ["--quiet", "progress"], ["--dry-run"]])
def test_quiet_and_dry_runs_show_nothing_of_it(stage, args):
    status, text = at_a_terminal(stage, *args)
    assert (status, "\x1b[J" in text) == (0, False)


def test_a_log_that_is_no_terminal_holds_no_drawing(stage):
    ran = stage()
    assert (ran.status, "\x1b[" in ran.text) == (0, False)


# ---- what is drawn ---------------------------------------------------------------------------------------------


def log(folder: Path, text: str) -> Path:
    write(folder / "a.log", text)
    return folder / "a.log"


def test_the_last_bar_of_a_log_counts(tmp_path):
    assert live.bar(log(tmp_path, BAR), 0) == live.Bar(18, "frame", 60, "00:21")
    slow = "\rkeyframes:  37%|██ | 4.4/12 [1:20:00<2:10:03, 3.10s/keyframe]\nwarning: out of memory"
    assert live.bar(log(tmp_path, slow), 0) == live.Bar(4.4, "keyframe", 12, "2:10:03")
    assert live.bar(log(tmp_path, "\rkeyframes: scan: 48frame [00:00, 474.31frame/s]"), 0) == live.Bar(48, "frame")
    assert live.bar(log(tmp_path, "loading"), 0) is None


def test_the_log_of_an_earlier_run_and_one_that_is_not_there_tell_nothing(tmp_path):
    old = log(tmp_path, BAR)
    assert live.bar(old, old.stat().st_mtime + 1) is None
    assert live.bar(tmp_path / "none.log", 0) is None


def test_no_line_is_wider_than_the_terminal_and_no_more_are_shown_than_it_holds(tmp_path):
    jobs = [live.Running("stretch", f"狗{n:02d}" * 20, log(tmp_path, BAR)) for n in range(20)]
    lines = live.lines((3, 40), jobs, 0, 60, 10)
    assert len(lines) == 1 + 6 and "14 more at work" in lines[0]
    assert max(map(disp_len, lines)) <= 60
    assert all("18/60" in line for line in lines[1:])
