"""Plain lines of EDN as JSON Lines, by replacing bytes wholesale: as quick as reading JSON.

Jepsen writes one map a line, most of them of keywords, numbers, vectors and simple strings.
Lines with anything else are for the parser. So is a result that is not JSON: the reader of
JSON decides.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

#: bytes outside strings with which the quick way cannot be sure
_SPECIAL = (b"#", b";", b"\\", b"(", b"'", b"/", b"N", b"M", b"\t")
#: where a string was taken out
_HOLE = b"\x00"
_FIELDS = (b"type", b"f", b"value", b"process", b"time", b"index", b"key", b"error")
#: what would change an event if it were there twice
_ONCE = (b"type", b"f", b"value", b"process", b"key")
_WORDS_OF_FIELDS = (b"invoke", b"ok", b"fail", b"info", b"txn", b"read", b"write", b"nemesis")
_MOPS = (b"r", b"append", b"w")
_KEYWORD = re.compile(rb'(?<!"):([A-Za-z][\w.*+!?<>=-]*)(?=[,\]}\n])')
_BAD_IN_STRING = re.compile(rb"[\x00-\x1f\\]")


@dataclass
class Plain:
    """JSON Lines, how many there are, and what was in them: keywords (but of `type`, `f` and
    `process`), strings, and whether there are maps in maps."""

    json: bytes
    lines: int
    words: set[bytes]
    strings: set[bytes]
    nested: bool


def to_json(lines: bytes) -> Plain | None:
    """Whole lines of one plain map each; None where there is anything that the parser must
    see."""
    parts = lines.split(b'"')
    strings = parts[1::2]
    seen = set(strings)
    if len(parts) % 2 == 0 or any(map(_BAD_IN_STRING.search, seen)) or _HOLE in lines:
        return None
    outside = _HOLE.join(parts[::2]) if strings else lines
    if any(byte in outside for byte in _SPECIAL):
        return None
    text = outside.replace(b", ", b" ").replace(b",", b" ").replace(b"{:", b"{ :")
    for field in _FIELDS:
        text = text.replace(b" :" + field + b" ", b' "' + field + b'":')
    for word in _WORDS_OF_FIELDS:
        text = text.replace(b"::" + word, b':"' + word + b'"')
    for word in _MOPS:
        text = text.replace(b"[:" + word + b" ", b'["' + word + b'" ')
    text = text.replace(b" nil", b" null").replace(b'":nil', b'":null').replace(b"[nil", b"[null")
    text = text.replace(b"{ ", b"{").replace(b" ", b",")
    words = _words(text)
    if text.count(b":") > text.count(b'":'):
        words |= set(_KEYWORD.findall(text))
        text = _KEYWORD.sub(rb'"\1"', text)
    count = lines.count(b"\n")
    if any(text.count(b'"' + field + b'":') > count for field in _ONCE):
        return None  # twice in one map, or in a map inside: the parser decides
    nested = text.count(b"{") > count
    return Plain(_woven(text, strings) if strings else text, count, words, seen, nested)


def _words(text: bytes) -> set[bytes]:
    """The keywords of values that other places have too."""
    words = {word for word in _MOPS if b'["' + word + b'"' in text}
    if b'"value":"' in text:
        words |= {word for word in _WORDS_OF_FIELDS if b'"value":"' + word + b'"' in text}
    return words


def _woven(text: bytes, strings: list[bytes]) -> bytes:
    """The text with its strings in their places again."""
    woven = [b""] * (2 * len(strings) + 1)
    woven[::2] = text.split(_HOLE)
    woven[1::2] = [b'"' + string + b'"' for string in strings]
    return b"".join(woven)
