"""The one exception whose message is meant for the user."""


class UserError(Exception):
    """Something the user can mend. The message is one line: what is wrong, where, and the cure.

    Of names and words in it, what is not to be seen is shown as an escape: it could tell a terminal what to do.
    """

    def __str__(self) -> str:
        return "".join(c if c.isprintable() or c == "\n" else ascii(c)[1:-1] for c in super().__str__())


def reason(error: Exception) -> str:
    """What a library's error says, short enough to be part of a line: its first one, without the full stop."""
    return str(error).strip().partition("\n")[0].rstrip(".")
