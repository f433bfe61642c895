"""The one exception whose message is meant for the user."""


class UserError(Exception):
    """Something the user can mend. The message is one line: what is wrong, where, and the cure."""


def reason(error: Exception) -> str:
    """What a library's error says, short enough to be part of a line: its first one, without the full stop."""
    return str(error).strip().partition("\n")[0].rstrip(".")
