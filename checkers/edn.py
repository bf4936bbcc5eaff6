"""EDN, as Jepsen writes its histories: a reader of our own, and a writer.

A history.edn is one map a line, or one vector of maps. Lines of plain data (keywords,
numbers, vectors) are turned into JSON by replacing bytes wholesale, which is as quick as
reading JSON; any other line goes through a parser of all of EDN. Keywords and symbols
become strings, sets and lists become arrays, tagged values the values that they tag, and
numbers that JSON has not (##Inf, ##NaN) keep their names.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from math import isfinite
from typing import Any

import msgspec

_TOKEN = re.compile(
    r"""(?:[\s,]|;[^\n]*+)*+(?:
    (?P<open>\#?\{|[\[(]) | (?P<close>[\])}]) | (?P<discard>\#_) | (?P<tag>\#:?[A-Za-z][\w./\-]*)
    | (?P<string>"(?:\\.|[^"\\])*") | (?P<char>\\(?:\w+|.)) | (?P<atom>[^\s,\[\](){}";\\]+) )""",
    re.VERBOSE,
)
_INT = re.compile(r"[+-]?\d+N?$")
_FLOAT = re.compile(r"[+-]?\d+(\.\d*)?([eE][+-]?\d+)?M?$")
_RATIO = re.compile(r"[+-]?\d+/\d+$")
_CLOSES = {"{": "}", "#{": "}", "[": "]", "(": ")"}
_WORD = re.compile(r"\#\#-?(Inf|NaN)$|[^\W\d]|[.*+!\-_?$%&=<>/|][^\d]|[.*+!\-_?$%&=<>/|]$")
_ESCAPE = re.compile(r"\\(u[0-9a-fA-F]{4}|[0-7]{1,3}|.)", re.DOTALL)
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", '"': '"', "\\": "\\"}
_CHARS = {
    "newline": "\n",
    "space": " ",
    "tab": "\t",
    "return": "\r",
    "backspace": "\b",
    "formfeed": "\f",
}
_WORDS = {"nil": None, "true": True, "false": False}


class EdnError(ValueError):
    """Text that is not EDN; the message says what was expected and where in the text."""


_NOTHING = object()


class Parser:
    """Reads one form after another from a text."""

    def __init__(self, text: str) -> None:
        self._text, self._at = text, 0

    def forms(self) -> Iterator[Any]:
        """Every form to the end of the text. Raises EdnError."""
        while (match := self._next()) is not None:
            if match.lastgroup == "close":
                raise EdnError(f"expected a value, got {match['close']!r} at {self._at}")
            form = self._form(match)
            if form is not _NOTHING:
                yield form

    def _next(self) -> re.Match[str] | None:
        match = _TOKEN.match(self._text, self._at)
        if match is not None:
            self._at = match.end()
        elif self._text[self._at :].strip(" \t\r\n,"):
            rest = self._text[self._at :].lstrip(" \t\r\n,")
            if not rest.startswith(";"):
                raise EdnError(f"expected a value, got {rest[:20]!r}")
        return match

    def _form(self, match: re.Match[str]) -> Any:
        kind = match.lastgroup
        if kind == "atom":
            return _atom(match["atom"])
        if kind == "open":
            return self._collection(match["open"])
        if kind == "string":
            return _string(match["string"])
        if kind == "char":
            return _char(match["char"][1:])
        if kind == "tag":
            return self._required(f"a value after {match['tag']}")
        self._required("a value after #_")
        return _NOTHING

    def _required(self, what: str) -> Any:
        form: Any = _NOTHING
        while form is _NOTHING:
            match = self._next()
            if match is None or match.lastgroup == "close":
                raise EdnError(f"expected {what}")
            form = self._form(match)
        return form

    def _collection(self, opening: str) -> Any:
        closing, items = _CLOSES[opening], []
        while True:
            match = self._next()
            if match is None:
                raise EdnError(f"expected {closing!r}, got the end")
            if match.lastgroup == "close":
                if match["close"] != closing:
                    raise EdnError(f"expected {closing!r}, got {match['close']!r}")
                break
            form = self._form(match)
            if form is not _NOTHING:
                items.append(form)
        if opening != "{":
            return items
        if len(items) % 2:
            raise EdnError("expected a value for the last key of a map")
        return {_key(k): v for k, v in zip(items[::2], items[1::2], strict=True)}


def _key(key: Any) -> str:
    return key if isinstance(key, str) else msgspec.json.encode(key).decode()


def _atom(atom: str) -> Any:
    try:
        if _INT.match(atom):
            return int(atom.rstrip("N"))
        if _FLOAT.match(atom):
            return _finite(float(atom.rstrip("M")))
        if _RATIO.match(atom):
            over, under = atom.split("/")
            return int(over) / int(under)
    except (ValueError, ArithmeticError):
        raise EdnError(f"expected a number that can be held, got {atom[:20]!r}") from None
    if atom in _WORDS:
        return _WORDS[atom]
    named = atom.removeprefix(":")
    if not _WORD.match(named) and (named == atom or not named[:1].isdigit()):
        raise EdnError(f"expected a value, got {atom[:20]!r}")
    return named


def _finite(number: float) -> float:
    if not isfinite(number):
        raise OverflowError
    return number


def _char(name: str) -> str:
    if len(name) == 1:
        return name
    if name in _CHARS:
        return _CHARS[name]
    if re.fullmatch("u[0-9a-fA-F]{4}", name):
        return _scalar(int(name[1:], 16))
    raise EdnError(f"expected a character, got {name[:20]!r} after a backslash")


def _string(quoted: str) -> str:
    return _ESCAPE.sub(_escaped, quoted[1:-1])


def _escaped(match: re.Match[str]) -> str:
    code = match[1]
    if code in _ESCAPES:
        return _ESCAPES[code]
    if code[0] == "u" and len(code) == 5:
        return _scalar(int(code[1:], 16))
    if code.isdigit() and code.isascii():
        return _scalar(int(code, 8))
    raise EdnError(f"expected an escape that EDN has, got {match[0]!r} in a string")


def _scalar(code: int) -> str:
    if 0xD800 <= code < 0xE000:
        raise EdnError(f"expected a character, got half of one, {code:x}")
    return chr(code)


#: bytes with which the quick way cannot be sure
_SPECIAL = (b'"', b"#", b";", b"\\", b"(", b"'", b"/", b"N", b"M", b"\t")
_FIELDS = (b"type", b"f", b"value", b"process", b"time", b"index", b"key", b"error")
_WORDS_OF_FIELDS = (b"invoke", b"ok", b"fail", b"info", b"txn", b"read", b"write", b"nemesis")
_MOPS = (b"r", b"append", b"w")
_KEYWORD = re.compile(rb":([A-Za-z][\w.*+!?<>=-]*)(?=[,\]}\n])")


def to_json(lines: bytes) -> bytes | None:
    """Whole lines of plain maps as JSON Lines, by replacement; None where there is anything
    that the parser must see. The result may still not be JSON: then the parser decides."""
    if any(byte in lines for byte in _SPECIAL):
        return None
    text = lines.replace(b", ", b" ").replace(b",", b" ").replace(b"{:", b"{ :")
    for field in _FIELDS:
        text = text.replace(b" :" + field + b" ", b' "' + field + b'":')
    for word in _WORDS_OF_FIELDS:
        text = text.replace(b"::" + word, b':"' + word + b'"')
    for word in _MOPS:
        text = text.replace(b"[:" + word + b" ", b'["' + word + b'" ')
    text = text.replace(b" nil", b" null").replace(b":nil", b":null").replace(b"[nil", b"[null")
    text = text.replace(b"{ ", b"{").replace(b" ", b",")
    return _KEYWORD.sub(rb'"\1"', text)


_MICRO = frozenset({"r", "w", "append"})


def dumps(value: Any, keywords: bool = False) -> str:
    """A JSON-able value as EDN. With `keywords`, the first word of each micro-operation is
    one."""
    if value is None:
        return "nil"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{dumps(k)} {dumps(v, keywords)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        words = [dumps(item, keywords) for item in value]
        if keywords and len(value) == 3 and isinstance(value[0], str) and value[0] in _MICRO:
            words[0] = f":{value[0]}"
        return "[" + " ".join(words) + "]"
    return msgspec.json.encode(value).decode()
