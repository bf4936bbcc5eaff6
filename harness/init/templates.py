"""The answers of a user, as templates: how to start a node, how to read, how to write.

A node is started by a command line. A read and a write is an HTTP request or a command line:

    PUT http://{address}/{key} {value}            method, address, path, and the body, if any
    redis-cli -h {host} -p {port} SET {key} {value}

Names in braces are replaced when it runs; all else is as it is written, braces of JSON too.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from dynamesis.harness.usage.exits import UsageError

#: what is filled in when a node is started (dynamesis.targets.Command.line)
START_NAMES = ("port", "data", "peers", "peer_port", "name", "host", "address", "here")
#: name in braces -> the expression that replaces it where a client reads or writes
REQUEST_NAMES = {
    "address": "self.address",
    "host": "self.host",
    "port": "self.port",
    "key": "op.key",
    "value": "op.value",
    "here": "HERE",
}

_NAME = re.compile(r"\{([a-z_]+)\}")
_HTTP = re.compile(r"(?:([A-Z]+)\s+)?(?:https?://([^/\s]*))?(/\S*)(?:\s+(.*\S))?\s*", re.DOTALL)
_PLACES = ("{address}", "{host}:{port}")


@dataclass(frozen=True)
class HttpRequest:
    """path, body: with names in braces."""

    method: str
    path: str
    body: str = ""


@dataclass(frozen=True)
class Shell:
    """A command line with names in braces."""

    text: str


Request = HttpRequest | Shell


@dataclass(frozen=True)
class Answers:
    """How to start a node, to read and to write."""

    start: Shell
    read: Request
    write: Request

    @property
    def clustered(self) -> bool:
        """Whether nodes are given each other's addresses."""
        return "{peers}" in self.start.text

    @property
    def here(self) -> bool:
        """Whether a file beside the target is named."""
        requests = (self.read, self.write)
        texts = [f"{r.path} {r.body}" if isinstance(r, HttpRequest) else r.text for r in requests]
        return any("{here}" in text for text in (self.start.text, *texts))

    @property
    def peer_port(self) -> bool:
        """Whether they dial each other at a port of its own."""
        return "{peer_port}" in self.start.text


def read_answers(start: str, read: str, write: str, folder: Path) -> Answers:
    """The three answers, for a target in this folder. Raises UsageError."""
    return Answers(
        _start("--start", start, folder),
        _request("--read", read, ("key",), "GET", folder),
        _request("--write", write, ("key", "value"), "PUT", folder),
    )


def _start(flag: str, text: str, folder: Path) -> Shell:
    shell = _shell(flag, text, folder)
    _check(flag, text, START_NAMES, ())
    if not {"port", "address"} & set(_NAME.findall(text)):
        why = "all nodes are on this machine, each needs a port of its own"
        raise UsageError(f"{flag}: {text!r} lacks {{port}}: {why}")
    return shell


def _request(flag: str, text: str, needed: Collection[str], method: str, folder: Path) -> Request:
    _check(flag, text, REQUEST_NAMES, needed)
    found = _HTTP.fullmatch(text.strip())
    if found is not None and (found[1] or found[2]):
        if found[2] is not None and found[2] not in _PLACES:
            raise UsageError(
                f"{flag}: {found[2]} is one fixed address; write http://{{address}}{found[3]}, "
                "since each node has one, behind a proxy"
            )
        return HttpRequest(found[1] or method, found[3], found[4] or "")
    if not {"port", "address"} & set(_NAME.findall(text)):
        raise UsageError(
            f"{flag}: {text!r} lacks {{port}} or {{address}}: which node is asked? For example "
            f"{method} http://{{address}}/{{key}}"
        )
    return _shell(flag, text, folder)


def _shell(flag: str, text: str, folder: Path) -> Shell:
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise UsageError(f"{flag}: {text!r}: {error}") from error
    if not words:
        raise UsageError(f"{flag}: is empty; give a command line")
    for word in words:
        path = Path(word)
        if not path.is_absolute() and ("/" in word or path.suffix) and path.is_file():
            # it is named from the working folder, and nodes run in another
            text = text.replace(word, f"{{here}}/{os.path.relpath(path, folder)}", 1)
    return Shell(text.strip())


def _check(flag: str, text: str, known: Collection[str], needed: Collection[str]) -> None:
    names = _NAME.findall(text)
    for name in names:
        if name not in known:
            allowed = ", ".join(f"{{{each}}}" for each in known)
            raise UsageError(f"{flag}: {{{name}}} is not known; allowed: {allowed}")
    for name in needed:
        if name not in names:
            raise UsageError(f"{flag}: {text!r} lacks {{{name}}}")


def string(text: str) -> str:
    """The Python expression of a string."""
    quote = _quote(text)
    return quote + _escaped(text, quote) + quote


def literal(text: str) -> str:
    """The Python expression of the template of a request: a string or an f-string."""
    parts = _NAME.split(text)
    if len(parts) == 1:
        return string(text)
    quote = _quote("".join(parts[::2]))
    for place, part in enumerate(parts):
        if place % 2:
            parts[place] = f"{{{REQUEST_NAMES[part]}}}"
        else:
            parts[place] = _escaped(part, quote).replace("{", "{{").replace("}", "}}")
    return f"f{quote}{''.join(parts)}{quote}"


def _quote(text: str) -> str:
    return "'" if text.count('"') > text.count("'") else '"'


def _escaped(text: str, quote: str) -> str:
    escaped = text.replace("\\", "\\\\").replace(quote, f"\\{quote}")
    return escaped.replace("\n", "\\n").replace("\t", "\\t").replace("\r", "\\r")
