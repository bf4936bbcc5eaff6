"""What EDN has and JSON has not, as Python values; and a value written as EDN."""

from __future__ import annotations

from typing import Any

import msgspec
from dynamesis.checkers.history.spelling import MICRO


class Word(str):
    """A form that EDN distinguishes from strings, as a string: `text` is how it was spelled."""

    __slots__ = ("text",)
    text: str

    @classmethod
    def of(cls, name: str, text: str) -> Word:
        word = cls(name)
        word.text = text
        return word


class EdnSet(list[Any]):
    """The elements of a set, in the order in which they were written."""


def plain(value: Any) -> Any:
    """A form as plain JSON: words are strings, sets are lists."""
    if isinstance(value, Word):
        return str(value)
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    return value


def quoted(text: str) -> str:
    """A string as EDN and JSON both write it."""
    return msgspec.json.encode(str(text)).decode()


def dumps(value: Any, keywords: bool = False) -> str:
    """A JSON-able value as EDN. With `keywords`, the first word of each micro-operation is
    one."""
    if value is None:
        return "nil"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Word):
        return value.text
    if isinstance(value, dict):
        return "{" + ", ".join(f"{dumps(k)} {dumps(v, keywords)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        words = [dumps(item, keywords) for item in value]
        if keywords and len(value) == 3 and isinstance(value[0], str) and value[0] in MICRO:
            words[0] = f":{value[0]}"
        opening, closing = ("#{", "}") if isinstance(value, EdnSet) else ("[", "]")
        return opening + " ".join(words) + closing
    return msgspec.json.encode(value).decode()
