"""What a run says last: what was made, what failed, why, and which log tells more."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Failure:
    """A job that failed: its rule, the names in its path, its log if it has one, and the results that wait for it."""

    rule: str
    names: str
    log: str | None
    waiting: tuple[str, ...]


def lines(failures: Iterable[Failure], made: Iterable[str]) -> list[str]:
    """The summary of a run, a line for each failure and one for the results that were made."""
    failures, made = list(failures), list(made)
    said = [f"failed: {each.rule} of {each.names}: {why(each.log)}" for each in failures]
    waiting = sorted({result for each in failures for result in each.waiting} - set(made))
    said += [f"not made because of it: {', '.join(waiting)}"] if waiting else []
    return [*said, f"made: {', '.join(made)}"] if made else said


def why(log: str | None) -> str:
    """The error in a job's log, in one line: what was said to the user, else the last line; and where it stands."""
    if log is None or not Path(log).is_file():
        return "its error is shown above"
    text = [line.strip() for line in Path(log).read_text(errors="replace").splitlines() if line.strip()]
    told = [line.removeprefix("error: ") for line in text if line.startswith("error: ")] or text or ["no word of it"]
    return f"{told[-1][:300]} (log: {log})"
