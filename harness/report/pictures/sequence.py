"""The messages about a version, as a sequence picture: a column for the clients and for each node,
time downwards, an arrow from where a message was sent to where it came.

Drawn where the test was simulated: only there is it known what each node sent and when it
came. Each row is one instant, so that the order is true and distances are not. The messages of the
write that is lost, or wrongly there, are bold, those of the write that took its place red.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
from dynamesis.checkers.history.history import History
from dynamesis.checkers.history.pairing import INVOKE
from dynamesis.harness.report.pictures.svg import Drawing, short

#: messages that are drawn, bytes of a file that are read, and pixels
MOST, LARGEST = 30, 64 << 20
GUTTER, COLUMN, ROW, TOP = 76, 150, 19, 44
#: data of an anomaly that names versions, the wrong one first; see pictures.causal
_NAMED = ("id", "lower", "missing", "upper", "replaced_by")


class SentMessage(msgspec.Struct, frozen=True, rename={"source": "from", "dest": "to"}):
    """A line of messages.jsonl (harness.worlds.simulated.messages); times in ns."""

    sent: int
    source: str
    dest: str
    key: str
    words: str
    kind: str = ""
    request: str = ""
    received: int | None = None
    lost: int | None = None


def read_messages(path: Path, keys: Iterable[object]) -> list[SentMessage]:
    """The messages about these keys, by when they were sent; none where there is no such file.
    What is not such a line is passed over."""
    wanted = {str(key) for key in keys if key is not None}
    if not wanted or not path.is_file() or path.stat().st_size > LARGEST:
        return []
    decode = msgspec.json.Decoder(SentMessage).decode
    found: list[SentMessage] = []
    with path.open("rb") as lines:
        for line in lines:
            try:
                message = decode(line)
            except (msgspec.DecodeError, UnicodeDecodeError):
                continue
            if message.key in wanted:
                found.append(message)
    return sorted(found, key=lambda message: message.sent)


@dataclass(frozen=True)
class _Chosen:
    """What is drawn: the messages, the ids of the wrong version and of what replaced it."""

    messages: Sequence[SentMessage]
    bad: str
    takers: frozenset[str]
    left_out: int


def sequence_picture(
    h: History, messages: Sequence[SentMessage], anomaly: Mapping[str, Any]
) -> Drawing | None:
    """The messages of an anomaly about a key; None where there are none."""
    key = anomaly.get("key")
    about = [m for m in messages if m.key == key]
    chosen = _choose(h, about, anomaly)
    return _draw(chosen, str(anomaly["name"])) if chosen.messages else None


def _choose(h: History, about: Sequence[SentMessage], anomaly: Mapping[str, Any]) -> _Chosen:
    """The messages of the writes that the anomaly names, then those of the reads that it cites,
    then what else carried the version, as far as there is room."""
    data = anomaly.get("data") or {}
    named = [str(data[part]) for part in _NAMED if isinstance(data.get(part), str)]
    lacking = data.get("lacking")
    named += map(str, lacking) if isinstance(lacking, dict) else ()
    copies = data.get("copies")
    held = copies.values() if isinstance(copies, Mapping) else ()
    nexts = [(c or {}).get("next") or {} for c in held]
    takers = [str(each["request"]) for each in nexts if each.get("request")]
    writes, reads = _cited(h, anomaly["ops"])
    wanted = list(dict.fromkeys([*named, *takers, *writes]))
    groups = [[m for m in about if m.request == id] for id in wanted]
    groups += [[m for m in about if not m.request and a <= m.sent <= b] for a, b in reads]
    spoken = [m for m in about if not m.request and set(named) & set(_ids(m.words))]
    kept: dict[int, SentMessage] = {}
    for message in [m for group in [*groups, spoken] for m in group]:
        if id(message) in kept or len(kept) < MOST:
            kept[id(message)] = message
    shown = sorted(kept.values(), key=lambda m: m.sent)
    whole = {id(m) for group in [*groups, spoken] for m in group}
    return _Chosen(shown, named[0] if named else "", frozenset(takers), len(whole) - len(shown))


def _cited(h: History, ops: Iterable[int]) -> tuple[list[str], list[tuple[int, int]]]:
    """The ids of the cited writes, and from when to when (ns) each cited read was under way."""
    writes: list[str] = []
    reads: list[tuple[int, int]] = []
    for row in ops:
        if not 0 <= row < len(h) or h.process[row] < 0:
            continue
        begun = row if h.kind[row] == INVOKE else int(h.pair[row])
        end = int(h.pair[begun]) if begun >= 0 else -1
        if begun >= 0 and h.id[begun] >= 0:
            writes.append(h.ids[h.id[begun]])
        elif begun >= 0 and end >= 0:
            reads.append((int(h.time[begun]), int(h.time[end])))
    return writes, reads


def _ids(words: str) -> Iterator[str]:
    return (word.strip(",") for word in words.split())


def _draw(chosen: _Chosen, title: str) -> Drawing:
    shown = chosen.messages
    names = {name for m in shown for name in (m.source, m.dest)}
    order = [*sorted(names & {"client"}), *sorted(names - {"client"})]
    column = {name: GUTTER + 36 + COLUMN * i for i, name in enumerate(order)}
    instants = sorted({(m.sent, 1, i) for i, m in enumerate(shown)} | set(_arrivals(shown)))
    row = {instant: TOP + ROW * i + 14 for i, instant in enumerate(instants)}
    bottom = TOP + ROW * len(instants) + 10
    width = max(GUTTER + COLUMN * len(order) + 20, 620)
    drawing = Drawing(f"{title}: the messages about it, time downwards", width, bottom + 36)
    for name, x in column.items():
        label = "clients" if name == "client" else short(name, 18)
        drawing.text(x, 16, label, "bold", "middle")
        drawing.line(x, 24, x, bottom)
    _times(drawing, shown, row)
    ends = {i: row[ns, 0, i] for ns, _, i in _arrivals(shown)}
    places = [((column[m.source], row[m.sent, 1, i]), column[m.dest]) for i, m in enumerate(shown)]
    for i, (start, to) in enumerate(places):
        _arrow(drawing, chosen, shown[i], start, (to, ends.get(i, start[1] + 10)))
    for message, (start, to) in zip(shown, places, strict=True):
        _words(drawing, chosen, message, start, right=to >= start[0])
    _legend(drawing, chosen, bottom)
    return drawing


def _arrivals(shown: Sequence[SentMessage]) -> list[tuple[int, int, int]]:
    """(ns, 0, number of the message) of each that came, or was lost on its way."""
    ends = [(m.lost if m.received is None else m.received, i) for i, m in enumerate(shown)]
    return [(end, 0, i) for end, i in ends if end is not None]


def _times(
    drawing: Drawing, shown: Sequence[SentMessage], row: Mapping[tuple[int, int, int], float]
) -> None:
    """The instant of each message that was sent a while after the one before it."""
    last = None
    for i, message in enumerate(shown):
        if last is None or message.sent - last >= 1_000_000:
            y = row[message.sent, 1, i]
            drawing.text(4, y + 4, f"{message.sent / 1e9:.4f} s", "soft")
            if last is not None and message.sent - last > 50_000_000:
                drawing.line(4, y - 17, drawing.width - 4, y - 17)
        last = message.sent


def _arrow(
    drawing: Drawing, chosen: _Chosen, message: SentMessage,
    start: tuple[float, float], end: tuple[float, float],
) -> None:  # fmt: skip
    """A message; one that did not come ends half way, with a cross."""
    gone = message.received is None
    if gone:
        end = ((start[0] + end[0]) / 2, (start[1] + end[1]) / 2)
        drawing.text(end[0], end[1] + 4, "\u2715", "bad", "middle")
        end = (end[0] - (7 if end[0] >= start[0] else -7), end[1])
    drawing.arrow(start, end, 0.0, bad=gone or message.request in chosen.takers, dashed=gone)


def _words(
    drawing: Drawing, chosen: _Chosen, message: SentMessage, at: tuple[float, float], right: bool
) -> None:
    """What a message was, beside its sender and above the arrow."""
    tone = "bold" if message.request == chosen.bad else "soft"
    tone = "bad" if message.request in chosen.takers else tone
    x, side = (at[0] + 8, "start") if right else (at[0] - 8, "end")
    drawing.text(x, at[1] - 4, short(message.words, 34), f"halo {tone}", side)


def _legend(drawing: Drawing, chosen: _Chosen, bottom: float) -> None:
    bold = f"bold: of {short(chosen.bad, 16)}" if any(
        m.request == chosen.bad for m in chosen.messages
    ) else ""  # fmt: skip
    took = ", ".join(short(id, 12) for id in sorted(chosen.takers)[:3])
    red = f"red: of {took}, which took its place" if took else ""
    verb = "is" if chosen.left_out == 1 else "are"
    more = f"{chosen.left_out} more {verb} left out" if chosen.left_out > 0 else ""
    lost = any(m.received is None for m in chosen.messages)
    crossed = "\u2715: it did not come" if lost else ""
    drawing.text(4, bottom + 14, "each row an instant, so that the order is true", "soft")
    words = "; ".join(part for part in (bold, red, crossed, more) if part)
    drawing.text(4, bottom + 29, words, "soft")
