"""A history as Jepsen logs it: an event a line, between other lines of a log.

    INFO  jepsen.util - 0	:invoke	:cas	[3 0]
    2026-01-02 03:04:05,678 INFO [jepsen worker 1] jepsen.util: 1 :info :write 4 :timed-out
    :nemesis	:info	:start	nil

Of an event are the process, type, f, value, and perhaps an error. A keyword in place of the value
of what did not succeed is its error (`:info :write :timed-out`). Lines without an event are left
out, but for one of jepsen.util that cannot be read: it is refused. Values are EDN.
"""

from __future__ import annotations

import re

from dynamesis.checkers.formats.edn_events import read_edn
from dynamesis.checkers.history.columns import History
from dynamesis.checkers.history.source import HistoryError

_EVENT = re.compile(
    rb"(?:\S.*?\s(?:-|jepsen\.[\w.]+:)\s+(?:jepsen\.[\w.]+\s+)?)?"
    rb"(?P<process>\d+|:[A-Za-z][\w.-]*)\s+:(?P<type>invoke|ok|fail|info)\s+"
    rb":(?P<f>[A-Za-z][\w.!?*+<>=-]*)(?:\s+(?P<value>\S.*?))?\s*"
)
_KEYWORD = re.compile(rb":\S+")
_VALUE_AND_ERROR = re.compile(rb"(?P<value>\[.*\]|\S+)\s+(?P<error>:\S.*|\[:.*\]|\".*\")")
#: where there is such an event, every line of its kind must be one
_OURS = re.compile(rb"jepsen\.util\s+-\s|\s:(?:invoke|ok|fail|info)\s+:")


def is_log(start: bytes) -> bool:
    """Whether the first bytes of a text are such a log."""
    lines = start.split(b"\n")[:-1] or [start]
    return any(_EVENT.fullmatch(line.rstrip(b"\r")) for line in lines)


def read_log(content: bytes, path: str) -> History:
    """The history that a log in UTF-8 holds. Raises HistoryError."""
    lines = content.split(b"\n")
    return read_edn(b"\n".join(_map(line, at, path) for at, line in enumerate(lines, 1)), path)


def _map(line: bytes, at: int, path: str) -> bytes:
    """The event of a line as a map of EDN; nothing for a line without one."""
    event = _EVENT.fullmatch(line.rstrip(b"\r"))
    if event is None:
        if _OURS.search(line):
            expected = "process, :invoke, :ok, :fail or :info, :f and a value"
            raise HistoryError(path, at, "(line)", f"expected an event: {expected}")
        return b""
    value, error = event["value"] or b"nil", b""
    if event["type"] in (b"fail", b"info"):
        both = _VALUE_AND_ERROR.fullmatch(value)
        if both is not None:
            value, error = both["value"], both["error"]
        elif _KEYWORD.fullmatch(value):
            value, error = b"nil", value
    fields = [b":process " + event["process"], b":type :" + event["type"], b":f :" + event["f"]]
    fields.append(b":value " + value)
    return b"{" + b", ".join(fields + ([b":error " + error] if error else [])) + b"}"
