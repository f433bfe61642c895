"""The one exception whose message is meant for the user."""


class UserError(Exception):
    """Something the user can mend. The message is one line: what is wrong, where, and the cure."""
