"""What is being done, drawn anew every second in the last lines of a terminal.

The jobs are known by their logs: each keeps a bar of tqdm in its log, of which the last state is shown.
"""

import re
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from os import get_terminal_size
from pathlib import Path
from typing import TextIO

SECONDS = 1.0  # between two drawings, or more where a hundred logs lie on a slow disk
MOST = 8  # jobs that are shown
TAIL = 4096  # bytes of a log in which its last bar is
WITH_TOTAL = re.compile(r"\d+%\|[^|]*\| ([\d.]+)/([\d.]+) \[[\d:]+<([\d:?]+),.*?([a-z]+)(?:/s)?\]")
WITHOUT = re.compile(r"(\d+)([a-z]+) \[[\d:]+,[^]]*\]")


@dataclass(frozen=True)
class Running:
    """A job that runs: its rule, the names in its path, and its log."""

    rule: str
    names: str
    log: Path


@dataclass(frozen=True)
class Bar:
    """How far a job is: `done` of `total`, if that is known, in some unit, and what time is left, as tqdm writes it."""

    done: float
    unit: str
    total: float | None = None
    left: str = "?"


def bar(log: Path, since: float) -> Bar | None:
    """The last bar in a log that was written to after the time `since` (seconds, Unix); None if there is none."""
    try:
        if log.stat().st_mtime < since:
            return None  # of an earlier run
        with log.open("rb") as stream:
            stream.seek(max(0, stream.seek(0, 2) - TAIL))
            text = stream.read().decode(errors="replace")
    except OSError:
        return None
    if found := WITH_TOTAL.findall(text):
        done, total, left, unit = found[-1]
        return Bar(float(done), unit, float(total), left)
    if found := WITHOUT.findall(text):
        return Bar(float(found[-1][0]), found[-1][1])
    return None


def lines(count: tuple[int, int], jobs: Iterable[Running], since: float, width: int, height: int) -> list[str]:
    """What is shown: how many of the run's jobs are done, then a line for each of those that run.

    since: when the run began (seconds, Unix); width, height: of the terminal, in characters.
    """
    from tqdm import tqdm  # which no run needs that has no terminal
    from tqdm.utils import disp_len, disp_trim

    found = [(job, bar(job.log, since)) for job in jobs]
    found.sort(key=lambda each: (each[1] is None, each[0].rule, each[0].names))
    shown = found[: max(1, min(MOST, height - 4))]
    more = f", {len(found) - len(shown)} more at work" if len(found) > len(shown) else ""
    head = f"{count[0]} of {count[1]} jobs done, {tqdm.format_interval(time.time() - since)}{more}"
    titles = [disp_trim(f"{job.rule:<10} {job.names}", max(12, width // 2)) for job, _ in shown]
    widest = max(map(disp_len, titles), default=0)
    titles = [title + " " * (widest - disp_len(title)) for title in titles]
    return [disp_trim(line, width) for line in [head, *map(_line, titles, (at for _, at in shown))]]


def _line(title: str, at: Bar | None) -> str:
    from tqdm.std import Bar as Drawn

    if at is None:
        return title
    if at.total is None:
        return f"{title}  {at.done:g} {at.unit}s"
    part = min(at.done / at.total, 1.0) if at.total else 1.0
    return f"{title}  {Drawn(part, 12)} {part:4.0%}  {at.done:g}/{at.total:g} {at.unit}s, {at.left} left"


class Region:
    """The last lines of a terminal. What else is written goes above them, through `above`."""

    def __init__(self, stream: TextIO, draw: Callable[[int, int], list[str]]) -> None:
        """draw: of the terminal's width and height, the lines."""
        self.stream, self.draw = stream, draw
        self.lock, self.over = threading.RLock(), threading.Event()
        self.shown: list[str] = []
        self.thread = threading.Thread(target=self._keep, name="live", daemon=True)

    def start(self) -> None:
        self.thread.start()

    def stop(self) -> None:
        """Take the lines away, for good."""
        self.over.set()
        with self.lock:
            if self.shown:
                self.shown = []
                self._put()

    def above(self, write: Callable[[], None]) -> None:
        """Have something written above the lines."""
        with self.lock:
            self.stream.write("\x1b[J")
            write()
            self._put()

    def _keep(self) -> None:
        took = 0.0
        while not self.over.wait(max(SECONDS, 20 * took)):
            began = time.monotonic()
            size = get_terminal_size(self.stream.fileno())
            drawn = self.draw(size.columns or 80, size.lines or 24)  # some terminals do not know
            took = time.monotonic() - began
            with self.lock:
                if not self.over.is_set():
                    self.shown = drawn
                    self._put()

    def _put(self) -> None:
        """The lines below the cursor, which stays above them: what some other program writes is not written over."""
        below = "".join(f"\r\n{line}" for line in self.shown)
        back = f"\x1b[{len(self.shown)}A\r" if self.shown else ""
        written = self.stream.encoding or "ascii"
        self.stream.write(("\x1b[J" + below + back).encode(written, "replace").decode(written))
        self.stream.flush()
