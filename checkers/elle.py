"""The Elle-style models: from transactions to a verdict under a consistency model.

`check_list_append` and `check_rw_register` infer dependencies each in its own way and
share the rest: process and realtime order, the search for cycles, and the question which
of the anomalies found the consistency model forbids. Anomalies that it allows are reported
in the details and not judged.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial

import numpy as np

from . import list_append, rw_register
from .causality import NEVER
from .consistency import DEFAULT, forbidden, impossible, meaning
from .cycles import PROCESS, REALTIME, Cycle, Edges, Step, find_cycles, realtime
from .history import History
from .list_append import Lists
from .pairing import FAIL, OK, Ints
from .rw_register import Registers
from .txn import NotTransactions, Txns, read_txns
from .txn_internal import list_internal, lost_updates, register_internal
from .txn_words import Finding, index_of, proof
from .verdict import DESCRIBED, Anomaly, Verdict, judge

#: why an edge stands, given it and the names of its two transactions
Explain = Callable[[Step, str, str], str]


def wanted(models: Sequence[str] = (), anomalies: Sequence[str] = ()) -> frozenset[str]:
    """The anomalies that make a history invalid. Raises UnknownModel."""
    chosen = models or (() if anomalies else DEFAULT)
    return forbidden(chosen) | (meaning(anomalies) if anomalies else frozenset())


def check_list_append(
    h: History, models: Sequence[str] = (), anomalies: Sequence[str] = ()
) -> Verdict:
    """Judge a list-append history (default: strict-serializable). Raises UnknownModel."""
    illegal = wanted(models, anomalies)
    try:
        t = read_txns(h, "append", lists=True)
        lists = Lists.of(t)
    except NotTransactions as error:
        return judge((), [str(error)])
    usable = np.zeros(len(t.txn), np.bool_)
    usable[lists.reads[lists.prefix]] = True
    found = [
        *_limited(list_append.findings(lists)),
        *_limited(list_internal(lists)),
        *_limited(lost_updates(t, t.value, usable)),
    ]
    edges = Edges(len(t))
    list_append.add_edges(edges, lists)
    return conclude(t, edges, found, illegal, partial(list_append.explain, lists))


def check_rw_register(
    h: History,
    models: Sequence[str] = (),
    anomalies: Sequence[str] = (),
    assume: Sequence[str] = (),
) -> Verdict:
    """Judge an rw-register history (default: strict-serializable), inferring version orders
    from what is assumed of keys (of rw_register.INFERENCES). Raises UnknownModel."""
    illegal = wanted(models, anomalies)
    try:
        t = read_txns(h, "w", lists=False)
        registers = Registers.of(t)
    except NotTransactions as error:
        return judge((), [str(error)])
    order = rw_register.infer(registers, assume)
    on_cycle = rw_register.cyclic(registers, order)
    found = [
        *_limited(rw_register.findings(registers, order, on_cycle)),
        *_limited(register_internal(t)),
        *_limited(lost_updates(t, registers.version, registers.version >= 0)),
    ]
    edges = Edges(len(t))
    sound = rw_register.without(order, on_cycle)
    rw_register.add_edges(edges, registers, sound)
    return conclude(t, edges, found, illegal, partial(rw_register.explain, registers, sound))


def _limited(findings: Iterable[Finding]) -> Iterator[Finding]:
    """The first of each kind."""
    seen: Counter[str] = Counter()
    for finding in findings:
        seen[finding.name] += 1
        if seen[finding.name] <= 10 * DESCRIBED:
            yield finding


def conclude(
    t: Txns,
    edges: Edges,
    found: list[Finding],
    illegal: frozenset[str],
    explain: Explain,
) -> Verdict:
    """Add the orders that need no inference, look for cycles, and judge."""
    if not np.any(t.status == OK):
        return judge((), ["no transaction succeeded"])
    inferred = edges.size
    _add_orders(edges, t, illegal)
    cycles, unnamed = find_cycles(edges.graph(), illegal)
    anomalies = [_anomaly(t, f) for f in found] + [_cycle(t, c, explain) for c in cycles]
    names = [a.name for a in anomalies]
    judged = [a for a in anomalies if a.name in illegal]
    details = {
        "transactions": len(t),
        "dependencies": inferred,
        "found": {name: names.count(name) for name in dict.fromkeys(names)},
        "not": list(impossible(names)),
    }
    if unnamed:
        details["components_not_looked_at"] = unnamed
    reasons = []
    if not inferred:
        reasons.append("no dependency between transactions could be inferred")
    if unnamed and not judged:
        reasons.append(f"{unnamed} components of the dependency graph were not looked at")
    kept: dict[str, list[Anomaly]] = {}
    for anomaly in judged:
        kept.setdefault(anomaly.name, []).append(anomaly)
    described = [a for same in kept.values() for a in same[:DESCRIBED]]
    more = {n: len(same) - DESCRIBED for n, same in kept.items() if len(same) > DESCRIBED}
    return judge(described, reasons, details, more)


def _add_orders(edges: Edges, t: Txns, illegal: frozenset[str]) -> None:
    """Process and realtime order, where the consistency model asks for them."""
    possible = np.flatnonzero(t.status != FAIL)
    if any(name.endswith(("-process", "-realtime")) for name in illegal):
        _add_process_order(edges, t, possible)
    if any(name.endswith("-realtime") for name in illegal):
        ended = np.where(t.status == OK, t.ended, NEVER)[possible]
        realtime(edges, possible, t.row[possible], ended)


def _add_process_order(edges: Edges, t: Txns, possible: Ints) -> None:
    """From the last transaction of a process that succeeded to each that follows it."""
    order = possible[np.argsort(t.process[possible], kind="stable")]
    if not len(order):
        return
    place = np.arange(len(order))
    last_ok = np.maximum.accumulate(np.where(t.status[order] == OK, place, -1))
    before = np.append([-1], last_ok[:-1])
    same = (before >= 0) & (t.process[order[before]] == t.process[order])
    edges.add(PROCESS, order[before[same]], order[same])


def _anomaly(t: Txns, finding: Finding) -> Anomaly:
    key = None if finding.key is None else str(t.keys[finding.key])
    return Anomaly(finding.name, f"{finding.why}.", key, proof(t, finding.txns))


def _cycle(t: Txns, cycle: Cycle, explain: Explain) -> Anomaly:
    """The cycle as prose: who must come before whom, and why."""
    names = {step.a: f"T{i + 1}" for i, step in enumerate(cycle.steps)}
    clauses, data = [], []
    for step in cycle.steps:
        a, b = names[step.a], names[step.b]
        reason = _reason(t, step, explain, a, b)
        clauses.append(f"{a} before {b} ({_KINDS[step.kind]}): {reason}")
        data.append(
            {
                "from": index_of(t, step.a),
                "to": index_of(t, step.b),
                "kind": _KINDS[step.kind],
                "why": reason,
            }
        )
    who = ", ".join(
        f"{name} is the transaction at index {index_of(t, n)}" for n, name in names.items()
    )
    why = f"{who}. {'; '.join(clauses)}: a cycle."
    ops = proof(t, tuple(names))
    return Anomaly(cycle.name, why, None, ops, {"cycle": data})


_KINDS = ("ww", "wr", "process", "realtime", "rw")


def _reason(t: Txns, step: Step, explain: Explain, a: str, b: str) -> str:
    if step.kind == PROCESS:
        return f"process {int(t.process[step.a])} did {a} before {b}"
    if step.kind == REALTIME:
        ended, begun = int(t.ended[step.a]), int(t.row[step.b])
        return f"{a} completed at index {ended}, {b} began at index {begun}"
    return explain(step, a, b)
