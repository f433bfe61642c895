"""The one exception whose message is meant for the user."""

from pickle import UnpicklingError


class UserError(Exception):
    """Something the user can mend. The message is one line: what is wrong, where, and the cure.

    Of names and words in it, what is not to be seen is shown as an escape: it could tell a terminal what to do.
    """

    def __str__(self) -> str:
        return "".join(c if c.isprintable() or c == "\n" else ascii(c)[1:-1] for c in super().__str__())


def reason(error: Exception) -> str:
    """What a library's error says, short enough to be part of a line: its first one, without the full stop."""
    if isinstance(error, UnpicklingError):  # PyTorch's words on it tell how to run what is in the file
        return "its weights are damaged, or hold a program, which is never run"
    return str(error).strip().partition("\n")[0].rstrip(".")
