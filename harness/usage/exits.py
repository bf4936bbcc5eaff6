"""How a command ends."""

from __future__ import annotations

from typing import Any

VALID, INVALID, USAGE, UNKNOWN, ENVIRONMENT = range(5)


class UsageError(Exception):
    """Wrong usage (exit 2): the message has what is wrong, where, and what would be right."""


def exit_code(valid: Any) -> int:
    """The exit code of a verdict: 0 valid, 1 invalid, 3 unknown."""
    return {True: VALID, False: INVALID}.get(valid, UNKNOWN)
