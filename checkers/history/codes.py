"""The numbers in a history's columns, and what each means; names are held in a table."""

from __future__ import annotations

from collections import defaultdict
from itertools import count
from typing import Any

import numpy as np
import numpy.typing as npt
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


def as_name(word: int) -> str | None:
    """The name that is this word."""
    return word.to_bytes(8, "little").rstrip(b"\0").decode() or None


class WordTable:
    """The numbers of names of up to 8 bytes, of many at a time. A word is such a name as one
    number: its bytes, the first the lowest; 0 is none."""

    #: spreads words over places (the golden ratio)
    _SPREAD = np.uint64(0x9E3779B97F4A7C15)
    _SHIFT = np.uint64(64 - 14)

    def __init__(self, names: NameTable) -> None:
        self._names = names
        self._known: dict[int, int] = {}
        #: by place, which follows from a word: the word that was there last, and its number
        self._words = np.zeros(1 << 14, np.uint64)
        self._numbers = np.full(1 << 14, -1, np.int32)

    def __getitem__(self, words: npt.NDArray[np.uint64]) -> npt.NDArray[np.int32]:
        """The numbers of words; new ones are given out in their order."""
        place = (words * self._SPREAD) >> self._SHIFT
        numbers: npt.NDArray[np.int32] = self._numbers[place]
        others = np.flatnonzero(self._words[place] != words)
        if len(others):
            numbers[others] = [self._number(word) for word in words[others].tolist()]
            self._words[place[others]] = words[others]
            self._numbers[place[others]] = numbers[others]
        return numbers

    def _number(self, word: int) -> int:
        number = self._known.get(word)
        if number is None:
            number = self._known[word] = self._names[as_name(word)]
        return number
