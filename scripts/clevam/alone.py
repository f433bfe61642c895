"""One run at a time in a folder, told by locks that the system drops with a process, however it ends."""

import atexit
import fcntl
import os
import shutil
import socket
import time
from base64 import urlsafe_b64decode
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import TextIO

from clevam.errors import UserError
from clevam.files import discard

STATE = Path(".snakemake")
STAMP = ".snakemake_timestamp"  # which Snakemake puts into every folder that a job has finished
PATIENCE = 3  # seconds: a job that was killed with its run takes a moment to end
SOCKET = "clevam.{}.socket"  # of a process that forks for jobs (warm.py); one that was killed leaves it behind
RUN, JOBS = STATE / "clevam.run", STATE / "clevam.jobs"


@cache
def hold() -> TextIO:
    """Make the working directory this run's until its process ends.

    What a killed run leaves behind is removed: Snakemake's own lock, and the results that were being written, of which
    Snakemake would make again those only that it knows of before it asks the first checkpoint.
    Raises UserError if another run is at work there, or a job of one that was killed.
    """
    run = opened(RUN)
    run.seek(0)
    if (alone := taken(run, fcntl.LOCK_EX)) is False:
        raise UserError(f"another run is at work in this folder ({run.read()}): wait for it, or end it")
    with opened(JOBS) as jobs:
        if taken(jobs, fcntl.LOCK_EX, PATIENCE) is False:
            raise UserError(
                "a job of a run that was killed is still at work in this folder: wait for it, or end it "
                f"(`fuser {JOBS}` names it)"
            )
    if alone:
        for left in STATE.glob(SOCKET.format("*")):
            left.unlink()
        remove_unfinished()
        if run.read():  # its process ended before it could take back what it had written here
            remove_remains()
            shutil.rmtree(STATE / "locks", ignore_errors=True)
    run.truncate(0)
    run.write(f"process {os.getpid()} on {socket.gethostname()}")
    run.flush()
    os.fsync(run.fileno())
    atexit.register(run.truncate, 0)
    return run


def remove_unfinished() -> None:
    """Remove the results in this folder that Snakemake has marked as being written, and the marks."""
    for mark, result in recorded("incomplete"):
        discard(result)
        mark.unlink()


def remove_remains() -> None:
    """Remove folders of results that were being removed, to be written again: without Snakemake's time stamp in it, one
    is as new as if it had just been written."""
    for _, result in recorded("metadata"):
        if result.is_dir() and not (result / STAMP).exists():
            discard(result)


def recorded(kind: str) -> list[tuple[Path, Path]]:
    """Snakemake's records of a kind, and the results in this folder that they are about."""
    found = []
    for record in (STATE / kind).rglob("*"):
        # Its name is the result's in base64, in pieces as long as a name may be, of which all but the last get an @.
        name = "".join(part.removeprefix("@") for part in record.relative_to(STATE / kind).parts)
        with suppress(ValueError):
            result = Path(urlsafe_b64decode(name).decode())
            if record.is_file() and not result.is_absolute() and ".." not in result.parts:
                found.append((record, result))
    return found


@cache
def work() -> TextIO | None:
    """Have new runs in this folder refused until this process, which is a job's, ends."""
    with suppress(UserError):  # a job that cannot write here holds up nobody
        jobs = opened(JOBS)
        taken(jobs, fcntl.LOCK_SH)
        return jobs
    return None


def opened(path: Path) -> TextIO:
    try:
        path.parent.mkdir(exist_ok=True)
        return path.open("a+")
    except OSError as error:
        raise UserError(f"{Path.cwd()}: cannot be written to ({error.strerror}); run in another folder") from None


def taken(stream: TextIO, kind: int, patience: float = 0) -> bool | None:
    """Whether a lock could be had; None where the file system knows none, and Snakemake's own remains.

    patience: seconds to wait for it.
    """
    until = time.monotonic() + patience
    while True:
        try:
            fcntl.flock(stream, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > until:
                return False
            time.sleep(0.1)
        except OSError:
            return None
        else:
            return True
