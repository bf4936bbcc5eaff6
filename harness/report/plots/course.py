"""What happened to the test: phases as marks, faults as bands, what state each node was in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from dynamesis.checkers.dynamo.outages import sides
from dynamesis.checkers.explain.describe import concerned
from dynamesis.checkers.graph.run import Run
from dynamesis.checkers.history.codes import NEMESIS
from dynamesis.checkers.history.pairing import INFO
from dynamesis.checkers.history.timeline import Fault
from dynamesis.harness.report.pictures.svg import short
from dynamesis.harness.results.documents import JsonObject

#: faults that are drawn
MOST = 400
_DOWN = {"kill": "down", "stop": "down", "wipe": "down, disk wiped", "pause": "paused"}


def course(run: Run) -> JsonObject:
    """{phases, faults, states}; times in s since the test began."""
    h, timeline = run.history, run.timeline
    end = float(h.time[-1]) / 1e9 if len(h) else 0.0

    def span(fault: Fault) -> tuple[float, float]:
        # from the invocation of its start to the completion of its end: it was active at most then
        stop = fault.stopped if fault.stopped is not None else fault.stopping
        return h.seconds(fault.started), end if stop is None else h.seconds(stop)

    faults = timeline.faults[:MOST]
    return {
        "phases": [
            {"name": short(p, 20), "at": h.seconds(row)} for p, row in timeline.phases.items()
        ],
        "faults": [_fault(fault, *span(fault)) for fault in faults],
        "states": joined([*_states(faults, span), *_died(run, end)]),
    }


def _fault(fault: Fault, start: float, stop: float) -> JsonObject:
    effect = "no evidence"
    if fault.took_effect is not None:
        effect = "took effect" if fault.took_effect else "took no effect"
    words = short(concerned(fault), 160)
    return {"family": short(fault.family, 20), "words": words, "effect": effect,
            "from": start, "to": max(stop, start), "row": fault.started}  # fmt: skip


def _states(faults: tuple[Fault, ...], span: Any) -> Iterator[JsonObject]:
    """What a node's lane shows beside its operations: down, paused, cut from which nodes."""
    for fault in faults:
        if fault.skipped or fault.took_effect is False:
            continue
        start, stop = span(fault)
        for node, state in _struck(fault):
            yield {"node": short(node, 24), "state": state, "from": start, "to": stop}


def joined(states: list[JsonObject]) -> list[JsonObject]:
    """States by node and time, those without a gap between them as one."""
    found: list[JsonObject] = []
    for each in sorted(states, key=lambda s: (s["node"], s["state"], s["from"])):
        last = found[-1] if found else None
        same = last is not None and (last["node"], last["state"]) == (each["node"], each["state"])
        if last is not None and same and each["from"] <= last["to"] + 0.05:
            last["to"] = max(last["to"], each["to"])
        else:
            found.append(dict(each))
    return found


def _struck(fault: Fault) -> Iterator[tuple[str, str]]:
    if fault.family in _DOWN:
        yield from ((node, _DOWN[fault.family]) for node in fault.nodes)
    elif fault.family == "cut":
        yield from _cut(fault.fields)


def _cut(fields: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    grudge = fields.get("grudge")
    if isinstance(grudge, dict):
        for node, others in grudge.items():
            if isinstance(others, list) and others:
                yield str(node), f"cut from {short(', '.join(map(str, others)), 40)}"
        return
    groups = sides(grudge) or ()
    for group in groups:
        others = sorted(str(n) for other in groups if other is not group for n in other)
        for node in sorted(map(str, group)):
            yield node, f"cut from {short(', '.join(others), 40)}"


def _died(run: Run, end: float) -> Iterator[JsonObject]:
    h = run.history
    for row in h.where((h.kind == INFO) & (h.process == NEMESIS) & h.rows("found-dead")):
        value = h.value_of(row)
        nodes = value.get("nodes") if isinstance(value, dict) else None
        for node in nodes if isinstance(nodes, list) else ():
            yield {
                "node": short(node, 24),
                "state": "died by itself",
                "from": h.seconds(row),
                "to": end,
            }
