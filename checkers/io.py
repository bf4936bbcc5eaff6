"""Histories of other tools: Jepsen's EDN, elle-cli's JSON, and our own JSON Lines.

Foreign events may lack indices and times: they are numbered in order, and one without
time happened when the one before it did. Where no event names its process there was but one
client. Everything else is held to the rules of
`checkers.wellformed`; a file that breaks one is refused with file, line and field.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET

from .columns import Builder, History
from .edn import EdnError, Parser, dumps, to_json
from .history import UNDECODABLE, HistoryError, must_be_text, read_history
from .op import NO_VALUE, Line, Natural, OpError, RawSibling, Type, encode
from .quick import no_cycles
from .wellformed import first_problem

Format = Literal["jsonl", "edn", "json"]
FORMATS: tuple[Format, ...] = ("jsonl", "edn", "json")

_CHUNK = 8 << 20


class Foreign(msgspec.Struct, gc=False):
    """An event of another tool."""

    type: Type
    f: str | None = None
    process: Natural | str | None = None
    value: msgspec.Raw = NO_VALUE
    time: Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)] | None = None
    index: int | None = None
    key: Any = None
    error: msgspec.Raw = NO_VALUE
    id: str | None = None
    basis: Natural | msgspec.UnsetType | None = UNSET
    node: str | None = None
    replica: str | None = None
    siblings: list[RawSibling] | None = None
    worth: dict[str, Any] | None = None
    options: Any = None


_line = msgspec.json.Decoder(Foreign)
_array = msgspec.json.Decoder(list[Foreign])
_encode = msgspec.json.Encoder().encode


def read_any(path: str | Path, fmt: Format | None = None) -> History:
    """Read a history in any of FORMATS; None: by the file's name, else by its content.
    Raises HistoryError when it is malformed, OSError when it cannot be read."""
    chosen = fmt or _guess(Path(path))
    if chosen == "jsonl":
        return read_history(path)
    return _read_edn(path) if chosen == "edn" else _read_json(path)


def _guess(path: Path) -> Format:
    by_name: dict[str, Format] = {".jsonl": "jsonl", ".edn": "edn", ".json": "json"}
    if path.suffix in by_name:
        return by_name[path.suffix]
    with open(path, "rb") as file:
        start = file.read(200).lstrip()
    if start.startswith((b'{"', b'[{"')):
        return "jsonl" if start.startswith(b'{"index"') else "json"
    return "edn"


def _read_json(path: str | Path) -> History:
    """An array of events, or one event a line."""
    content = Path(path).read_bytes()
    foreign = _Foreigners(path)
    with no_cycles():
        if content.lstrip().startswith(b"["):
            foreign.add(foreign.decode_array(content), 1)
        else:
            foreign.add_lines(content, 1)
    return foreign.build()


def _read_edn(path: str | Path) -> History:
    """One map a line, as a vector over lines or not; else whatever EDN it is."""
    foreign = _Foreigners(path)
    number = 1
    with open(path, "rb") as file, no_cycles():
        for lines in _whole_lines(file):
            if number == 1 and lines.lstrip().startswith(b"[") and not _one_map_a_line(lines):
                foreign.add_forms(lines + file.read(), 1)
                break
            foreign.add_edn(lines, number)
            number += lines.count(b"\n")
    return foreign.build()


def _whole_lines(file: Any) -> Iterator[bytes]:
    rest = b""
    while chunk := file.read(_CHUNK):
        cut = chunk.rfind(b"\n") + 1
        if cut:
            yield rest + chunk[:cut]
            rest = chunk[cut:]
        else:
            rest += chunk
    if rest.strip():
        yield rest + b"\n"


def _one_map_a_line(lines: bytes) -> bool:
    stripped = [line.strip(b" ,\r") for line in lines[:4096].split(b"\n")[:-1][:8]]
    inner = [line.lstrip(b"[ ").rstrip(b" ]") for line in stripped]
    return all(not i or (i.endswith(b"}") and i.startswith((b"{", b"#"))) for i in inner) and any(
        inner
    )


class _Foreigners:
    """Gathers foreign events as rows."""

    def __init__(self, path: str | Path) -> None:
        self._path, self._builder, self._time = path, Builder(), 0
        self._numbers: list[int] = []
        #: whether a client's event has named its process, and the line of the first that has not
        self._named, self._nameless = False, 0

    def refuse(self, line: int, field: str, expected: str) -> HistoryError:
        return HistoryError(self._path, line, field, expected)

    def decode_array(self, content: bytes) -> list[Foreign]:
        try:
            must_be_text(content)
            return _array.decode(content)
        except UNDECODABLE as error:
            said, _, where = str(error).partition(" - at `$")
            raise self.refuse(1, where.rstrip("`") or "(array)", said) from None

    def add_lines(self, lines: bytes, first: int) -> None:
        try:
            must_be_text(lines)
            self.add(_line.decode_lines(lines), first)
        except UNDECODABLE:
            for number, line in enumerate(lines.splitlines(), first):
                self.add([self._decode(line, number)], number)

    def _decode(self, line: bytes, number: int) -> Foreign:
        try:
            must_be_text(line)
            return _line.decode(line)
        except UNDECODABLE as error:
            said, _, where = str(error).partition(" - at `$")
            field = where.rstrip("`").lstrip(".") or "(line)"
            raise self.refuse(number, field, said[0].lower() + said[1:]) from None

    def add_edn(self, lines: bytes, first: int) -> None:
        """Lines of one map each."""
        lines = lines.replace(b"#jepsen.history.Op{", b"{")
        plain = to_json(lines)
        if plain is not None:
            try:
                must_be_text(plain)
                decoded = _line.decode_lines(plain)
            except UNDECODABLE:
                decoded = []
            if len(decoded) == lines.count(b"\n"):
                self.add(decoded, first)
                return
        for number, line in enumerate(lines.splitlines(), first):
            self.add_forms(line.strip(b" ,[]\r") if line.strip(b" ,\r") else b"", number)

    def add_forms(self, content: bytes, first: int) -> None:
        """Maps, or vectors of maps, in any layout."""
        try:
            forms = list(Parser(content.decode()).forms())
        except (EdnError, UnicodeDecodeError, RecursionError) as error:
            raise self.refuse(first, "(line)", str(error)) from None
        events = [e for form in forms for e in (form if isinstance(form, list) else [form])]
        for event in events:
            if not isinstance(event, dict):
                raise self.refuse(first, "(line)", f"expected a map, got {event!r:.60}")
            self.add([self._decode(_encode(event), first)], first)

    def add(self, events: Sequence[Foreign], first: int) -> None:
        rows: list[Line] = []
        for event in events:
            if event.time is not None:
                self._time = max(event.time, 0)
            if event.process is None:
                self._nameless = self._nameless or first + len(rows)
            self._named |= isinstance(event.process, int)
            rows.append(self._row(event, self._builder.rows + len(rows)))
        self._numbers += range(first, first + len(rows))
        self._builder.add(rows)

    def _row(self, e: Foreign, index: int) -> Line:
        key = e.key if e.key is None or isinstance(e.key, str) else _encode(e.key).decode()
        error = None if e.error is NO_VALUE else _error(bytes(e.error), e.type == "fail")
        process = 0 if e.process is None else e.process
        return Line(
            index, self._time, e.type, process, e.f or "", key, e.id, e.value, e.basis,
            e.node, e.replica, e.siblings, error, e.worth,
            e.options if isinstance(e.options, dict) else None,
        )  # fmt: skip

    def build(self) -> History:
        history = self._builder.build(str(self._path))
        if not len(history):
            raise self.refuse(1, "(line)", "expected an event, the file is empty")
        if self._named and self._nameless:
            said = "expected a value as in other events, the field is missing"
            raise self.refuse(self._nameless, "process", said)
        problem = first_problem(history)
        if problem is not None:
            line = self._numbers[problem.row]
            raise self.refuse(line, problem.field, f"{problem.message} (event {problem.row})")
        return history


def _error(raw: bytes, definite: bool) -> OpError:
    """An error of ours, or whatever another tool says, as the message."""
    try:
        return msgspec.json.decode(raw, type=OpError)
    except (msgspec.DecodeError, RecursionError):
        return OpError("foreign", definite, raw.decode())


def write_history(history: History, path: str | Path) -> None:
    """Our own JSON Lines."""
    with open(path, "wb") as file:
        file.writelines(encode(op) for op in history.ops())


def write_json(history: History, path: str | Path) -> None:
    """An array of events, as elle-cli reads it."""
    with open(path, "wb") as file:
        for number, op in enumerate(history.ops()):
            file.write((b",\n" if number else b"[") + encode(op).rstrip(b"\n"))
        file.write(b"]\n")


def write_edn(history: History, path: str | Path) -> None:
    """One map a line, as Jepsen writes it."""
    with open(path, "w") as file:
        for op in history.ops():
            event = msgspec.json.decode(encode(op))
            file.write(_edn_line(event) + "\n")


def _edn_line(event: dict[str, Any]) -> str:
    """`type`, `f` and named processes are keywords in Jepsen, and micro-operations too."""
    words = []
    for name, value in event.items():
        keyword = name in ("type", "f", "process") and isinstance(value, str)
        text = f":{value}" if keyword else dumps(value, keywords=event["f"] == "txn")
        words.append(f":{name} {text}")
    return "{" + ", ".join(words) + "}"
