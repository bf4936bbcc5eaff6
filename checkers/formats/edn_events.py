"""A history in EDN: events in any layout.

Events are maps. They may be bare, or in lists and vectors, or in both one after the
other; one a line, several a line, or one over lines; with comments and discarded forms
between them. What is read are forms: each bracket has its counterpart, or the history is refused.
Lines of one plain map each, which is what Jepsen writes, take a quick way.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec
from dynamesis.checkers.formats.edn import EdnError, Parser, SameKeys
from dynamesis.checkers.formats.edn_forms import dumps, plain
from dynamesis.checkers.formats.edn_lines import to_json
from dynamesis.checkers.formats.edn_values import Values
from dynamesis.checkers.formats.foreign import FIELDS, Foreign, ForeignEvents, decode_lines
from dynamesis.checkers.history.columns import History
from dynamesis.checkers.history.gc_pause import gc_paused
from dynamesis.checkers.history.op import JsonObject

#: bytes read at a time. What is not plain sends no more than this through the slow path.
_CHUNK = 1 << 19
_OPENED = re.compile(rb"[\s,]*(?:[\[(][\s,]*)*(?=[{#])")
_CLOSES = {"[": "]", "(": ")"}
_encode = msgspec.json.Encoder().encode


def read_edn(content: bytes, path: str) -> History:
    """The history that a text in UTF-8 holds. Raises HistoryError."""
    words: frozenset[str] = frozenset()
    keys: frozenset[str] = frozenset()
    while True:
        reader = _Reader(content, path, words, keys)
        try:
            with gc_paused():
                reader.read()
        except SameKeys as clash:
            keys |= {str(clash)}
            continue
        found = reader.values
        if found.clashes <= words and found.key_clashes <= keys:
            return reader.events.build(found.spelling())
        # names that are two things in this file: read again, and keep them apart
        words, keys = words | found.clashes, keys | found.key_clashes


class _Reader:
    """One reading of a text, from a position on. `open` are the brackets around events that
    are not closed yet, with their lines."""

    def __init__(
        self, content: bytes, path: str, words: frozenset[str], keys: frozenset[str]
    ) -> None:
        self._content, self._keys, self._quick = content, keys, not (words or keys)
        self.events, self.values = ForeignEvents(path), Values(words)
        self._at, self._line = 0, 1
        self._open: list[tuple[str, int]] = []

    def read(self) -> None:
        """Read everything. Raises HistoryError, SameKeys."""
        size = _CHUNK
        while self._at < len(self._content):
            before = self._at
            end = self._content.find(b"\n", before + size) + 1 or len(self._content)
            lines = self._content[before:end]
            if self._quick and self._read_plain(lines):
                self._move(end)
            else:
                self._move(self._read_forms(lines, end == len(self._content)))
            # an event that is longer than this needs more of the text
            size = _CHUNK if self._at > before else size * 2
        if self._open:
            opening, line = self._open[-1]
            last = self._content.rstrip().count(b"\n") + 1
            message = (
                f"expected {_CLOSES[opening]!r} for the {opening!r} of line {line}, got the end"
            )
            raise self.events.refuse(last, "(line)", message)

    def _move(self, at: int) -> None:
        self._line += self._content.count(b"\n", self._at, at)
        self._at = at

    def _read_plain(self, lines: bytes) -> bool:
        """Lines of one map each, the first perhaps after brackets that open, the last before
        some that close; False, and nothing done, where they are anything else."""
        start = _OPENED.match(lines)
        body = lines.rstrip(b" \r\n,])")
        if start is None or not body.endswith(b"}"):
            return False
        opened = [chr(byte) for byte in start[0] if byte in b"[("]
        closed = [chr(byte) for byte in lines[len(body) :] if byte in b"])"]
        inside = [opening for opening, _ in self._open] + opened
        if closed != [_CLOSES[opening] for opening in reversed(inside)][: len(closed)]:
            return False
        body = body[start.end() :].replace(b"#jepsen.history.Op{", b"{") + b"\n"
        found = to_json(body.replace(b"\n {", b"\n{"))
        events = None if found is None else decode_lines(found.json)
        if found is None or events is None:
            return False
        first = self._line + start[0].count(b"\n")
        numbers: Any = range(first, first + found.lines)
        if len(events) != found.lines:
            filled = enumerate(body.split(b"\n"), first)
            numbers = [number for number, line in filled if line.strip(b" ,\r")]
            if len(numbers) != len(events):
                return False
        self.events.add(events, numbers)
        self.values.note(found.words, found.strings)
        if found.nested:
            for name in FIELDS:
                self.values.note_key(name)
        self._open += [(opening, first) for opening in opened]
        del self._open[len(self._open) - len(closed) :]
        return True

    def _read_forms(self, lines: bytes, last: bool) -> int:
        """Whole forms; where the last one is cut off and more text follows, all before it.
        Returns the position up to which was read."""
        text = lines.decode()
        parser = Parser(text, 0, self._keys)
        found: list[bytes] = []
        numbers: list[int] = []
        line, counted, done = self._line, 0, 0
        try:
            while (match := parser.next()) is not None:
                line, counted = line + text.count("\n", counted, parser.began), parser.began
                event = self._event(parser, match, line)
                if event is not None:
                    found.append(event)
                    numbers.append(line)
                done = parser.at
        except EdnError as error:
            if last or not error.ended:
                line += text.count("\n", counted, max(error.at, counted))
                raise self.events.refuse(line, "(line)", str(error)) from None
        except RecursionError:
            raise self.events.refuse(line, "(line)", "expected forms nested less deeply") from None
        else:
            done = len(text)
        self._add(found, numbers)
        return self._at + (done if text.isascii() else len(text[:done].encode()))

    def _event(self, parser: Parser, match: re.Match[str], line: int) -> bytes | None:
        """The event that begins with this token, as JSON; None for brackets around events, and for
        forms that are discarded."""
        kind = match.lastgroup
        if kind == "tag":
            following = parser.next()
            if following is None or following.lastgroup == "close":
                raise EdnError(
                    f"expected an event after {match[kind]}", parser.began, not following
                )
            return self._event(parser, following, line)
        if kind == "close":
            self._close(match[kind], parser.began)
            return None
        if kind == "open" and match[kind] in _CLOSES:
            self._open.append((match[kind], line))
            return None
        at, form = parser.began, parser.form(match)
        if isinstance(form, dict):
            return self._encoded(form)
        if not parser.skip(form):
            raise EdnError(f"expected an event (a map), got {dumps(form)[:60]}", at)
        return None

    def _close(self, closing: str, at: int) -> None:
        if not self._open:
            raise EdnError(f"expected an event or the end, got {closing!r}", at)
        opening, line = self._open[-1]
        if _CLOSES[opening] != closing:
            message = f"expected {_CLOSES[opening]!r} for the {opening!r} of line {line}"
            raise EdnError(f"{message}, got {closing!r}", at)
        self._open.pop()

    def _encoded(self, form: JsonObject) -> bytes:
        event = {str(name): value for name, value in form.items() if name in FIELDS}
        for name, value in event.items():
            if name in ("value", "key"):
                event[name] = self.values.hold(value, read=event.get("type") != "invoke")
            elif value.__class__ is not int:
                event[name] = plain(value)
        return _encode(event)

    def _add(self, found: list[bytes], numbers: list[int]) -> None:
        events: list[Foreign] | None = decode_lines(b"\n".join(found))
        if events is None or len(events) != len(found):
            events = [self.events.decode(e, n) for e, n in zip(found, numbers, strict=True)]
        self.events.add(events, numbers)
