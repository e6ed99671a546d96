"""The base of every failure that a person can act on; stages print it as one line."""


class DigitsError(Exception):
    """A failure whose message says where, what was expected and what was received."""

    exit_status = 1
