"""Values as the history spells them, for proofs; and values as keys of a dict.

Inside, every value is JSON: a keyword of EDN is a string, a set an array. What a user reads
in a proof must be found again in the file, so a history carries the EDN spelling of what
JSON has no form for. Two values that the file distinguishes are never one: where a file has
both `:a` and `"a"`, its reader gives them different strings (`checkers.formats.edn_values`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec
from dynamesis.checkers.history.op import Unheld, canonical

#: first words of micro-operations, which are keywords in EDN
MICRO = frozenset({"r", "w", "append"})

_encode = msgspec.json.encode


@dataclass(frozen=True)
class Frozen:
    """A value that cannot be a key of a dict itself: its JSON, and the value as it was read."""

    json: bytes
    value: Any = field(compare=False, repr=False)


def freeze(value: Any) -> Any:
    """A value that can be a key of a dict, and is equal to none of another type: 1, "1", 1.0,
    true and [1] are five."""
    kind = value.__class__
    if kind is str or kind is int or kind is Unheld:
        return value
    return Frozen(canonical(value), value)


def thaw(name: Any) -> Any:
    """The value that `freeze` made this of."""
    return name.value if isinstance(name, Frozen) else name


@dataclass(frozen=True)
class Spelling:
    """How one history writes values. For EDN: `words`, the spelling of strings that were
    keywords, symbols, characters or tagged text (`{"a": ":a"}`); `keys`, the same for keys of
    maps (`{"1": "1"}`); `sets`, the JSON of arrays that were sets;
    `micro`, which of MICRO were keywords at the head of a micro-operation."""

    edn: bool = False
    words: Mapping[str, str] = field(default_factory=dict)
    keys: Mapping[str, str] = field(default_factory=dict)
    sets: frozenset[bytes] = frozenset()
    micro: frozenset[str] = frozenset()

    def __call__(self, value: Any) -> str:
        """The text of a value (also of one that is frozen): `[3 1]` and `{:id 9}` in EDN,
        `[3,1]` and `{"id":9}` in JSON."""
        value = thaw(value)
        if isinstance(value, Unheld):
            return str(value)
        try:
            return self._edn(value) if self.edn else _encode(value).decode()
        except RecursionError:
            return "(a value nested too deep to be shown)"

    def _edn(self, value: Any) -> str:
        if isinstance(value, str):
            return self.words.get(value) or _encode(value).decode()
        if isinstance(value, dict):
            return "{" + ", ".join(f"{self.key(k)} {self._edn(v)}" for k, v in value.items()) + "}"
        if isinstance(value, list | tuple):
            return self._list(list(value))
        return "nil" if value is None else _encode(value).decode()

    def is_set(self, value: list[Any]) -> bool:
        """Whether an array is held for a set."""
        return bool(self.sets) and _encode(value) in self.sets

    def _list(self, value: list[Any]) -> str:
        words = [self._edn(item) for item in value]
        if self.is_set(value):
            return "#{" + " ".join(words) + "}"
        if len(value) == 3 and isinstance(value[0], str) and value[0] in self.micro:
            words[0] = f":{value[0]}"
        return "[" + " ".join(words) + "]"

    def key(self, key: Any) -> str:
        """The text of a key of a map."""
        if not isinstance(key, str):
            return self._edn(key)
        return self.keys.get(key) or self.words.get(key) or _encode(key).decode()


JSON = Spelling()
