"""A test as a Perfetto trace: TrackEvents that ui.perfetto.dev and its trace processor read.

Tracks: one for the phases, one for each fault, one for each client under "clients", one for the
event log of each node. An operation is a slice from its invocation to its end; what is known of it
are its annotations (`debug.key`, `debug.anomaly`, ...). Flows are the causal edges: from a write
to the reads that showed its version and to what the nodes logged of it, and from a read to the
writes on its context. Times are ns since the test began.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from dynamesis.checkers.graph.run import Run
from dynamesis.checkers.history.codes import TYPES
from dynamesis.checkers.history.columns import History
from dynamesis.checkers.history.pairing import INVOKE
from dynamesis.checkers.logs.logs import Logs
from dynamesis.harness.report.pictures.intervals import label_of
from dynamesis.harness.report.pictures.svg import short
from dynamesis.harness.report.plots.course import course
from dynamesis.harness.report.protobuf import block, fixed64, number

BEGIN, END, INSTANT = 1, 2, 3
#: the only sequence of packets
SEQUENCE = 1
#: characters of an annotation
LONGEST = 400
#: fields of a node's line that are not annotations
_HEAD = ("time", "mono", "node", "event")

Annotations = Mapping[str, object]


@dataclass
class TraceTracks:
    """Packets under way; tracks and flows are numbered as they are asked for."""

    tracks: dict[tuple[str, str], int] = field(default_factory=dict)
    flows: int = 0

    def flow(self) -> int:
        self.flows += 1
        return self.flows

    def track(self, group: str, name: str = "") -> tuple[int, list[bytes]]:
        """The number of a track, and the packets that describe it where it is new."""
        known = self.tracks.get((group, name))
        if known is not None:
            return known, []
        parent, packets = self.track(group) if name else (0, [])
        self.tracks[group, name] = uuid = len(self.tracks) + 1
        content = number(1, uuid) + block(2, name or group)
        content += number(5, parent) if parent else b""
        return uuid, [*packets, _packet(0, block(60, content))]


def _packet(at: int, content: bytes) -> bytes:
    return block(1, number(8, max(at, 0)) + number(10, SEQUENCE) + content)


def _event(
    at: int, kind: int, track: int, name: str = "", category: str = "",
    notes: Annotations | None = None, out: Iterable[int] = (), into: Iterable[int] = (),
) -> bytes:  # fmt: skip
    """A TrackEvent: `out` are the flows that continue from it, `into` those that end in it."""
    content = number(9, kind) + number(11, track)
    content += block(23, name) if name else b""
    content += block(22, category) if category else b""
    for note, value in (notes or {}).items():
        content += block(4, block(10, note) + _value(value))
    content += b"".join(fixed64(47, flow) for flow in out)
    content += b"".join(fixed64(48, flow) for flow in into)
    return _packet(at, block(11, content))


def _value(value: object) -> bytes:
    if isinstance(value, bool):
        return number(2, value)
    if isinstance(value, int) and abs(value) < 1 << 63:
        return number(4, value)
    return block(6, short(value, LONGEST))


def trace(run: Run, logs: Logs | None, anomalies: Iterable[Mapping[str, Any]]) -> Iterator[bytes]:
    """The packets of a trace, one after the other; a file of them is a trace. `anomalies` as
    results.json has them."""
    made = TraceTracks()
    yield from _course(made, run)
    flows = _Flows(made, run.history)
    yield from _nodes(made, logs, flows)
    yield from _operations(made, run.history, flows, _cited(anomalies))


def _cited(anomalies: Iterable[Mapping[str, Any]]) -> dict[int, list[Mapping[str, Any]]]:
    found: dict[int, list[Mapping[str, Any]]] = {}
    for anomaly in anomalies:
        for row in anomaly["ops"]:
            found.setdefault(int(row), []).append(anomaly)
    return found


def _course(made: TraceTracks, run: Run) -> Iterator[bytes]:
    """Phases, faults, and the states of nodes."""
    known = course(run)
    end = int(run.history.time[-1]) if len(run.history) else 0
    phases = known["phases"]
    for i, phase in enumerate(phases):
        until = _ns(phases[i + 1]["at"]) if i + 1 < len(phases) else end
        yield from _slice(made, ("phases", ""), phase["name"], "phase", _ns(phase["at"]), until, {})
    for i, fault in enumerate(known["faults"]):
        notes = {"index": fault["row"], "effect": fault["effect"]}
        at, until = _ns(fault["from"]), _ns(fault["to"])
        lane = ("faults", f"fault {i}")
        yield from _slice(made, lane, fault["words"], "fault", at, until, notes)
    for i, state in enumerate(known["states"]):
        at, until = _ns(state["from"]), _ns(state["to"])
        lane = (f"node {state['node']}", f"state {i}")
        yield from _slice(made, lane, state["state"], "state", at, until, {})


def _slice(
    made: TraceTracks, lane: tuple[str, str], name: str, category: str, at: int, until: int,
    notes: Annotations,
) -> Iterator[bytes]:  # fmt: skip
    track, described = made.track(*lane)
    yield from described
    yield _event(at, BEGIN, track, name, category, notes)
    yield _event(until, END, track)


def _ns(seconds: float) -> int:
    return round(seconds * 1e9)


class _Flows:
    """The causal edges, each with its number: by row of an event, those that leave it and those
    that end in it."""

    def __init__(self, made: TraceTracks, h: History) -> None:
        self.made = made
        self.out: dict[int, list[int]] = {}
        self.into: dict[int, list[int]] = {}
        self.writes: dict[str, int] = {}
        for row in h.where((h.kind == INVOKE) & (h.id >= 0)):
            self.writes.setdefault(h.ids[h.id[row]], row)
        for row in h.where(h.shown & (h.pair >= 0)):
            for sibling in h.sib_id[h.sib_start[row] : h.sib_start[row + 1]].tolist():
                written = self.writes.get(h.ids[sibling], -1)
                if 0 <= written < row:
                    self.add(written, row)
        for row in h.where((h.basis >= 0) & (h.kind == INVOKE)):
            self.add(int(h.basis[row]), row)

    def add(self, start: int, end: int) -> None:
        flow = self.made.flow()
        self.out.setdefault(start, []).append(flow)
        self.into.setdefault(end, []).append(flow)

    def leaving(self, row: int) -> int:
        """A new flow from a row to an event that is none of the history."""
        flow = self.made.flow()
        self.out.setdefault(row, []).append(flow)
        return flow


def _nodes(made: TraceTracks, logs: Logs | None, flows: _Flows) -> Iterator[bytes]:
    """The lines of each node's event log as instants; one that names the write of a client is
    where a flow from this write ends."""
    if logs is None or logs.began is None:
        return
    for event in logs.events:
        track, described = made.track(f"node {short(event['node'], 40)}", "event log")
        yield from described
        notes = {short(k, 40): v for k, v in event.items() if k not in _HEAD}
        written = flows.writes.get(str(event.get("request")))
        into = [] if written is None else [flows.leaving(written)]
        name = short(event["event"], 40) + (f" by {event['why']}" if "why" in event else "")
        at = int(event.get("mono", logs.began)) - logs.began
        yield _event(at, INSTANT, track, short(name, 60), "node-log", notes, into=into)


def _operations(
    made: TraceTracks, h: History, flows: _Flows, cited: Mapping[int, list[Mapping[str, Any]]]
) -> Iterator[bytes]:
    """Every operation as a slice; one that never ended lasts until the end of the test."""
    last = int(h.time[-1]) if len(h) else 0
    for row in h.where((h.kind == INVOKE) & (h.process != -2)):
        track, described = made.track("clients", f"process {short(h.name_of(int(h.process[row])))}")
        if h.process[row] < 0:
            name = f"{h.fs[h.f[row]]} {h.nodes[h.replica[row]] if h.replica[row] >= 0 else ''}"
            track, described = made.track("harness", f"{short(name, 40)} {row}")
        yield from described
        end = int(h.pair[row])
        found = [*cited.get(row, ()), *(cited.get(end, ()) if end >= 0 else ())]
        out, into = flows.out.get(row, ()), flows.into.get(row, ())
        notes = _notes(h, row, end, found)
        yield _event(int(h.time[row]), BEGIN, track, short(label_of(h, row), 80),
                     "operation", notes, out, into)  # fmt: skip
        at = int(h.time[end]) if end >= 0 else last
        yield _event(at, END, track, out=flows.out.get(end, ()), into=flows.into.get(end, ()))


def _notes(h: History, row: int, end: int, found: Iterable[Mapping[str, Any]]) -> dict[str, object]:
    notes: dict[str, object] = {"index": row, "end": end, "f": h.fs[h.f[row]]}
    notes["outcome"] = TYPES[h.kind[end]] if end >= 0 else "open"
    if h.key_of[row] >= 0:
        notes["key"] = h.keys[h.key_of[row]]
    if h.id[row] >= 0:
        notes["id"] = h.ids[h.id[row]]
    if end >= 0 and h.node[end] >= 0:
        notes["node"] = h.nodes[h.node[end]]
    if end >= 0 and end in h.errors:
        notes["error"] = h.errors[end].code
    for anomaly in found:
        notes["anomaly"], notes["why"] = anomaly["name"], anomaly["why"]
        data = anomaly.get("data") or {}
        if anomaly["name"] == "lost-write" and data.get("id") == notes.get("id"):
            notes["lost"] = True
            break
    return notes
