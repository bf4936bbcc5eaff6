"""Histories in files: Jepsen's EDN and its logs, elle-cli's JSON, our own JSON Lines; gzip or not.

The format of a file is recognized by its name, else by its content. A file that breaks the
rules of its format, or of `checkers.history.wellformed`, is refused with file, line and field.
"""

from __future__ import annotations

import re
from pathlib import PurePath
from typing import Literal

import msgspec
from dynamesis.checkers.formats.edn_events import read_edn
from dynamesis.checkers.formats.edn_forms import dumps
from dynamesis.checkers.formats.jepsen_log import is_log, read_log
from dynamesis.checkers.formats.json_events import read_json
from dynamesis.checkers.history.columns import History
from dynamesis.checkers.history.history import HistoryError, read_lines
from dynamesis.checkers.history.op import JsonObject, encode
from dynamesis.checkers.history.source import STDIN, Source, opened
from dynamesis.checkers.history.spelling import Spelling

Format = Literal["jsonl", "edn", "json", "log"]
FORMATS: tuple[Format, ...] = ("jsonl", "edn", "json", "log")

_READERS = {"edn": read_edn, "json": read_json, "log": read_log}
_JSON = re.compile(rb'\s*(\[?)\s*\{\s*"(\w*)')

#: a name that can be a keyword as it is
_NAME = re.compile(r"[A-Za-z*!_?<>=.][\w*!?<>=.+-]*")


def read_any(path: str | PurePath, fmt: Format | None = None) -> History:
    """Read a history in any of FORMATS; None: by the file's name, else by its content. "-" is
    standard input. Raises HistoryError when it is malformed, OSError when it cannot be read."""
    with opened(path) as source:
        chosen = fmt or _guess(PurePath(path), source.start)
        if chosen == "jsonl":
            return read_lines(source)
        content = _text(source)
    return _READERS[chosen](content, source.name)


def _guess(path: PurePath, start: bytes) -> Format:
    by_name: dict[str, Format] = {
        ".jsonl": "jsonl",
        ".edn": "edn",
        ".json": "json",
        ".log": "log",
    }
    suffixes = [suffix for suffix in path.suffixes if suffix != ".gz"]
    if suffixes and suffixes[-1] in by_name and str(path) not in STDIN:
        return by_name[suffixes[-1]]
    json = _JSON.match(start)
    if json is None:
        return "log" if is_log(start) else "edn"
    return "jsonl" if (json[1], json[2]) == (b"", b"index") else "json"


def _text(source: Source) -> bytes:
    """All of a source. Raises HistoryError where it is not UTF-8."""
    content = source.read()
    try:
        if not content.isascii():
            content.decode()
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        message = f"expected text in UTF-8, got byte 0x{content[error.start]:02x}"
        raise HistoryError(source.name, line, "(line)", message) from None
    return content


def write_history(history: History, path: str | PurePath) -> None:
    """Our own JSON Lines."""
    with open(path, "wb") as file:
        file.writelines(encode(op) for op in history.ops())


def write_json(history: History, path: str | PurePath) -> None:
    """An array of events, as elle-cli reads it."""
    with open(path, "wb") as file:
        for number, op in enumerate(history.ops()):
            file.write((b",\n" if number else b"[") + encode(op).rstrip(b"\n"))
        file.write(b"]\n")


def write_edn(history: History, path: str | PurePath) -> None:
    """One map a line, as Jepsen writes it. Raises ValueError for a value that EDN cannot hold."""
    with open(path, "w", encoding="utf-8") as file:
        for op in history.ops():
            try:
                event = msgspec.json.decode(encode(op))
            except (msgspec.DecodeError, RecursionError):
                message = f"index {op.index} has a number or a depth that EDN cannot hold"
                raise ValueError(message) from None
            file.write(_edn_line(event, history.spelled) + "\n")


def _edn_line(event: JsonObject, spelled: Spelling) -> str:
    """`type`, `f` and named processes are keywords in Jepsen, and micro-operations too."""
    words = []
    for name, value in event.items():
        keyword = name in ("type", "f", "process") and isinstance(value, str)
        if keyword and _NAME.fullmatch(value):
            text = f":{value}"
        elif spelled.edn and name in ("value", "key"):
            text = spelled(value)
        else:
            text = dumps(value, keywords=event["f"] == "txn")
        words.append(f":{name} {text}")
    return "{" + ", ".join(words) + "}"
