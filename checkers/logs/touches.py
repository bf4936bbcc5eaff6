"""Explains an anomaly by the nodes' event logs: which node last touched its key, where a lost
write was stored and what took it from there, which node answered a read with what, and what was
named alike.

Only what happened before the observation that is explained (the last event of its
proof), where the logs can be laid beside the history. A line that changes no copy (a read, the
order to repair another node) is not a touch. A version is known by its dot, which the line of its
stamp gives beside the id of the write; `holds` names the versions that a copy has after a line.
Older logs lack these: then what touched the key next is named, and not called the cause.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from dynamesis.checkers.explain.describe import listed
from dynamesis.checkers.history.history import History
from dynamesis.checkers.logs.beside import UNTOUCHING, Beside, Explanation, lost, mechanism
from dynamesis.checkers.logs.logs import Event
from dynamesis.checkers.logs.lost_copies import lost_copies
from dynamesis.checkers.verdict import Anomaly

#: how many of a kind are described in words
IN_WORDS = 2


def explain(beside: Beside, anomaly: Anomaly) -> Explanation:
    """What the logs show of one anomaly; nothing without lines about its key."""
    events = beside.of(anomaly)
    if not events:
        return Explanation("", {})
    parts = [
        lost_copies(beside, anomaly, events),
        _answers(beside, anomaly, events),
        _named_alike(anomaly, events),
        _last(beside, anomaly, events),
    ]
    return Explanation(
        "".join(p.why for p in parts), {k: v for p in parts for k, v in p.data.items()}
    )


# ---- what last touched the key


def _last(beside: Beside, anomaly: Anomaly, events: list[Event]) -> Explanation:
    """The last line on each node that changed its copy."""
    by_node: dict[str, Event] = {}
    renewed: dict[str, Event] = {}
    words: dict[str, str] = {}
    end = beside.mono(max(anomaly.ops)) if anomaly.ops else None
    for event in events:
        node = event["node"]
        if event["event"] == "epoch-renewed":
            renewed[node] = event
        elif event["event"] not in UNTOUCHING:
            by_node[node] = event
            words[node] = mechanism(event) + _epoch(renewed.pop(node, None), event)
    for node, event in by_node.items():
        fault = beside.wiped(node, event.get("mono", 0), end)
        if fault is not None:
            words[node] += f", and wiped since (index {fault.started})"
    if not by_node:
        return Explanation("", {})
    spelled = ", ".join(f"{node} by {words[node]}" for node in sorted(by_node))
    data = {node: dict(event) for node, event in sorted(by_node.items())}
    return Explanation(f" Last touched on {spelled}.", {"last_touched": data})


def _epoch(renewed: Event | None, event: Event) -> str:
    """That a stamp began a new epoch: what is stamped so is another version than before."""
    if renewed is None or event.get("why") != "stamp":
        return ""
    return f" (under the new epoch {renewed.get('actor')}, after {renewed.get('was')})"


# ---- which node answered a read with what


def _answers(beside: Beside, anomaly: Anomaly, events: list[Event]) -> Explanation:
    """Of the gets that an anomaly rests on, the last: which node answered with which writes."""
    if beside.run is None or beside.logs.began is None:
        return Explanation("", {})
    h = beside.run.history
    for row in sorted(anomaly.ops, reverse=True):
        if h.fs[h.f[row]] != "get" or h.pair[row] < 0 or h.pair[row] > row:
            continue
        line = _read_line(beside, h, row, events)
        if line is None:
            return Explanation("", {})
        ids = {str(e["dot"]): str(e.get("request")) for e in events if "dot" in e}
        answers = line.get("answers")
        spelled = [
            f"{holder} with {listed([ids.get(dot, dot) for dot in dots])}"
            for holder, dots in (answers.items() if isinstance(answers, Mapping) else ())
        ]
        why = f" The get at index {row} was answered by {line['node']} from {', '.join(spelled)}."
        return Explanation(why, {"answers": dict(line)})
    return Explanation("", {})


def _read_line(beside: Beside, h: History, row: int, events: list[Event]) -> Event | None:
    """What the coordinator of a get logged of it, if only one line can be that."""
    begun, ended = beside.mono(int(h.pair[row])), beside.mono(row)
    asked = h.nodes[h.node[row]] if h.node[row] >= 0 else None
    node = h.worth.get(row, {}).get("coordinator", asked)
    found = [
        e
        for e in events
        if e["event"] == "read"
        and node in (None, e["node"])
        and (begun or 0) <= e.get("mono", 0) <= (ended or 0)
    ]
    return found[0] if len(found) == 1 else None


# ---- versions that were named alike, writes that were stamped twice


def _named_alike(anomaly: Anomaly, events: list[Event]) -> Explanation:
    doubles = list(_doubles(events, _concerned(anomaly)))
    if not doubles or "dot" in anomaly.data:
        return Explanation("", {})
    more = f", and there are {len(doubles) - IN_WORDS} more such" * (len(doubles) > IN_WORDS)
    why = f" In the nodes' logs {'; '.join(doubles[:IN_WORDS])}{more}."
    return Explanation(why, {"doubles": doubles})


def _doubles(events: list[Event], ids: Collection[str]) -> Iterator[str]:
    """Versions of a key that were named alike, of which a replica that receives both keeps one; and
    writes that were stamped twice, which then are two versions. `ids`: of which writes; of
    all, if there are none."""
    stamps: dict[str, dict[str, str]] = {}
    for event in events:
        if event.get("why") == "stamp" and "dot" in event and "request" in event:
            writes = stamps.setdefault(str(event["dot"]), {})
            writes.setdefault(str(event["request"]), event["node"])
    names: dict[str, dict[str, str]] = {}
    for dot, writes in stamps.items():
        for write, node in writes.items():
            names.setdefault(write, {})[dot] = node
        if len(writes) > 1 and (not ids or any(id in writes for id in ids)):
            both = listed([f"{write} on {n}" for write, n in writes.items()], separator=" and ")
            yield f"{dot} was the name of {both}"
    for write, dots in names.items():
        if len(dots) > 1 and (not ids or write in ids):
            twice = " and ".join(f"{dot} on {node}" for dot, node in dots.items())
            yield f"{write} was stamped as {twice}"


def _concerned(anomaly: Anomaly) -> Collection[str]:
    """The writes that an anomaly names."""
    id, lacking = lost(anomaly), anomaly.data.get("lacking")
    return [id] if id is not None else list(lacking) if isinstance(lacking, Mapping) else []
