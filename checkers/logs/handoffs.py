"""lost-hint, by the nodes' event logs: what was handed off must be what was kept last.

A node logs the hash of each hint that it keeps (`stored` with `hint_for`: hash), and of what it
handed off before it deleted the hint (`handed-off`: target, hash, to). The node that received it
logs the hash of what came (`stored` or `held`, why handoff: incoming). The three must be one: a
hint that took in a later write and was deleted for an earlier one, or that never arrived, or of
which something else arrived, is lost, whether or not anti-entropy brings the same afterwards.

A node that acknowledges from memory logs that too (durable false). A hint may be the only
copy that is on a disk: it is lost if it was deleted for one that was in memory.

And a node that is started anew finds its hints again (`ready`: hints, by target). Those for a node
that was down all the time cannot have been handed off meanwhile: there are as many as it had kept.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

from dynamesis.checkers.explain.describe import counted
from dynamesis.checkers.graph.causality import Causality
from dynamesis.checkers.graph.run import Run
from dynamesis.checkers.history.timeline import Timeline
from dynamesis.checkers.logs.copy_lines import copy_lines
from dynamesis.checkers.logs.logs import Event, Logs, surely_down
from dynamesis.checkers.verdict import DESCRIBED, Anomaly, CheckerResult, judge, skip

#: (node, key, hash of what came), and of each time whether it was durable when acknowledged
Arrivals = dict[tuple[str, str, str], list[bool]]
_NS = 1_000_000_000
#: ns after which a node that lives has stored what it logged
_STORED_NS = 3 * _NS
#: faults that take hints away, or send them elsewhere
_ELSEWHERE = frozenset({"wipe", "disk", "membership", "upgrade"})
#: lines after which a hint is not kept any more
_GONE = ("deleted", "undone", "hint-given-up", "handed-off", "row-damaged")


def check_handoffs(run: Run, logs: Logs) -> CheckerResult:
    """Judge what was handed off."""
    c, timeline = run.order, run.timeline
    if not any("hash" in event for event in logs.of_kinds("handed-off")):
        return skip("no node logged that it handed a hint off")
    found: list[Anomaly] = []
    judged, more = 0, 0
    for event, kept, why in _wrong(c, timeline, logs):
        judged += 1
        if why is None:
            continue
        if len(found) < DESCRIBED:
            found.append(_anomaly(c, logs, event, kept, why))
        else:
            more += 1
    return judge(found, (), {"handed_off": judged}, {"lost-hint": more} if more else {})


def _wrong(
    c: Causality, timeline: Timeline, logs: Logs
) -> Iterator[tuple[Event, Event | None, str | None]]:
    """Each hint that was handed off, the line that kept it last, and what is wrong."""
    arrivals = _arrivals(logs)
    #: node -> (target, key) -> line
    kept: defaultdict[str, dict[tuple[str, str], Event]] = defaultdict(dict)
    for event in _about_hints(logs):
        what = event["event"]
        if what == "stored" or what == "held":
            kept[event["node"]][str(event["hint_for"]), str(event.get("key"))] = event
        elif what == "start" or (what == "storage-error" and event.get("table") == "hints"):
            kept[event["node"]].clear()
        elif what == "handed-off" and isinstance(event.get("hash"), str):
            about = str(event.get("target")), str(event.get("key"))
            last = kept[event["node"]].pop(about, None)
            yield event, last, _what_is_wrong(c, timeline, logs, arrivals, event, last)


def _about_hints(logs: Logs) -> list[Event]:
    """The lines about hints that are kept, and about what may end that, in order of time."""
    lines = logs.once(copy_lines)
    places = lines.places[lines.hints[lines.numbers]]
    return logs.with_kinds(places.tolist(), "start", "storage-error", "handed-off")


def _arrivals(logs: Logs) -> Arrivals:
    found: Arrivals = {}
    lines = logs.once(copy_lines)
    for line, came in lines.incoming.items():
        event, (node, key, _) = lines.lines[line], lines.copies[lines.numbers[line]]
        arrived = event["event"] in ("stored", "held") and "hint_for" not in event
        if arrived and isinstance(came, str):
            durable = line not in lines.from_memory
            found.setdefault((node, key, came), []).append(durable)
    return found


def _what_is_wrong(
    c: Causality,
    timeline: Timeline,
    logs: Logs,
    arrivals: Arrivals,
    event: Event,
    last: Event | None,
) -> str | None:
    """None where the hint that was kept last is what arrived."""
    sent, when = str(event["hash"]), event.get("mono", 0)
    if last is not None and last.get("hash") != sent:
        return f"what it had kept last was {_named(last)}, and it handed {sent} off"
    for node in event.get("to") or ():
        came_durably = arrivals.get((node, str(event.get("key")), sent))
        if came_durably and not any(came_durably):
            return f"{node} had {sent} in memory only when it acknowledged that"
        if not came_durably:
            since = when if last is None else last.get("mono", 0)
            down = last is not None and surely_down(c.history, timeline, logs, node, since, when)
            if down or logs.whole(node, since, when + _NS // 2):
                came = _came(logs, node, event)
                other = f"; what came there last was {came}" if came else ""
                return f"{node} never received {sent}{other}"
    return None


def _came(logs: Logs, node: str, event: Event) -> str | None:
    """The last state of the key that was handed to a node before this."""
    found = None
    for line in logs.by_node.get(node, ()):
        if line.get("mono", 0) > event.get("mono", 0):
            break
        if line.get("key") == event.get("key") and isinstance(line.get("incoming"), str):
            found = f"{line['incoming']}"
    return found


def _named(line: Event) -> str:
    """A hint with the write that made it so."""
    return f"{line.get('hash')}{' with ' + str(line['request']) if 'request' in line else ''}"


def _anomaly(c: Causality, logs: Logs, event: Event, last: Event | None, wrong: str) -> Anomaly:
    h, node, key = c.history, event["node"], str(event.get("key"))
    row = logs.row_at(h, event.get("mono", 0))
    begun = _begun(c, last)
    why = (
        f"{node} deleted its hint of {key} for {event.get('target')}{logs.when(event)} as handed "
        f"off, but {wrong}. What such a hint was for, its target did not get from it."
    )
    data = {"node": node, "target": event.get("target"), "handed_off": dict(event)}
    if last is not None:
        data["kept"] = dict(last)
    during = (*begun, *(() if row is None else (row,)))
    return Anomaly("lost-hint", why, key, begun, data, during)


def _begun(c: Causality, last: Event | None) -> tuple[int, ...]:
    """The rows of the write that a hint took in last."""
    id = None if last is None else last.get("request")
    h = c.history
    if id not in h.ids:
        return ()
    version = int(c.of_id[h.ids.index(id)])
    if version < 0:
        return ()
    begun, ended = int(c.written[version]), int(c.ended[version])
    return (begun, ended) if begun <= ended < len(h) else (begun,)


def check_recovered(run: Run, logs: Logs) -> CheckerResult:
    """Judge what nodes that were started anew found of their hints."""
    h, timeline, test = run.history, run.timeline, run.test or {}
    elsewhere = sorted({fault.family for fault in timeline.faults} & _ELSEWHERE)
    if elsewhere:
        return skip(f"hints may be gone for a reason: faults of family {elsewhere[0]}")
    if logs.began is None or test.get("storage") == "memory":
        return skip("needs nodes that store their hints, and logs of the history's time")
    found, judged = [], 0
    for node in logs.by_node:
        for ready, target, kept in _kept_over(run, logs, node):
            until = ready.get("mono", 0)
            sure = [
                line
                for line in kept
                if surely_down(h, timeline, logs, target, line.get("mono", 0), until)
            ]
            judged += len(sure)
            if len(sure) > ready["hints"].get(target, 0):
                found.append(_forgotten(run, logs, ready, target, sure))
    if not judged:
        return skip("no node was started anew that had kept a hint for one that stayed down")
    more = {"lost-hint": len(found) - DESCRIBED} if len(found) > DESCRIBED else {}
    return judge(found[:DESCRIBED], (), {"recovered": judged}, more)


def _kept_over(run: Run, logs: Logs, node: str) -> Iterator[tuple[Event, str, list[Event]]]:
    """By each line `ready` of a later life, and target: the hints that the lives before it had kept
    for certain, as they were kept last."""
    kept: dict[tuple[str, str], Event] = {}
    ended, kills = 0, _kills(run, logs, node)
    last: Event = {}
    for event in logs.by_node[node]:
        what, key = event["event"], str(event.get("key"))
        target = str(event.get("hint_for", event.get("target")))
        if what == "start":
            # a node with nothing to do logs nothing: it lived until it was killed
            before = [mono for mono in kills if mono < event.get("mono", 0)]
            ended = max([last.get("mono", 0), *before]) if last else 0
        elif what in ("stored", "held") and "hint_for" in event:
            kept[target, key] = event
        elif what in _GONE:
            kept.pop((target, key), None)
        elif what == "storage-error":
            kept.clear()
        elif what == "ready" and ended and isinstance(event.get("hints"), Mapping):
            by_target: dict[str, list[Event]] = {}
            for (of, _), line in kept.items():
                durable = line.get("durable") is not False
                if durable and line.get("mono", 0) + _STORED_NS <= ended:
                    by_target.setdefault(of, []).append(line)
            yield from ((event, of, lines) for of, lines in by_target.items())
            kept.clear()
        last = event


def _kills(run: Run, logs: Logs, node: str) -> list[int]:
    """When a node was killed, by the clock of the logs."""
    faults = [f for f in run.timeline.faults if f.kind == "kill" and node in f.nodes]
    found = [logs.mono_at(run.history, fault.started) for fault in faults]
    return [mono for mono in found if mono is not None]


def _forgotten(run: Run, logs: Logs, ready: Event, target: str, sure: list[Event]) -> Anomaly:
    node, first = ready["node"], sure[0]
    row = logs.row_at(run.history, ready.get("mono", 0))
    begun = _begun(run.order, first)
    there = counted(ready["hints"].get(target, 0), "hint")
    why = (
        f"{node} was ready again{logs.when(ready)} with {there} for {target}, but had kept "
        f"{len(sure)} before it ended, one of them of {first.get('key')}{logs.when(first)}, and "
        f"{target} was down all the time: it has forgotten what it kept."
    )
    data: dict[str, Any] = {"node": node, "target": target, "ready": dict(ready)}
    data["kept"] = [dict(line) for line in sure[:DESCRIBED]]
    during = (*begun, *(() if row is None else (row,)))
    return Anomaly("lost-hint", why, str(first.get("key")), begun, data, during)
