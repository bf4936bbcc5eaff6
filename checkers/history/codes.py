"""The numbers in a history's columns, and what each means; names are held in a table."""

from __future__ import annotations

from collections import defaultdict
from itertools import count
from typing import Any

from dynamesis.checkers.history.op import (
    Type,
)

TYPES: tuple[Type, ...] = ("invoke", "ok", "fail", "info")
HARNESS, NEMESIS = -1, -2
#: Operations that have no value, which some histories spell as nil.
VALUELESS = ("acquire", "release")
#: The fs of model `dynamo`, whose fields are held to its rules.
DYNAMO = ("put", "delete", "get", "dump")
#: in the basis column: a blind write, and no basis field at all
BLIND, ABSENT = -1, -2


class NameTable(defaultdict[Any, int]):
    """name -> its number, given out in order of first use; None is -1."""

    def __init__(self, none: Any = None) -> None:
        # numbers are drawn by the interpreter's own code, without a call of Python for each
        super().__init__(count().__next__, {none: -1})

    def all(self) -> list[Any]:
        """The names by number."""
        return list(self)[1:]
