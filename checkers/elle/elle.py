"""The Elle-style models: from transactions to a verdict under a consistency model.

`check_list_append` and `check_rw_register` infer dependencies each in its own way and
share the rest: process and realtime order, the search for cycles, and the question which
of the anomalies found the consistency model forbids. Anomalies that it allows are reported
in the details and not judged.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from dynamesis.checkers.elle import (
    list_append,
    list_append_explain,
    list_append_findings,
    rw_register,
    txn_visibility,
)
from dynamesis.checkers.elle.consistency import (
    ALL,
    DEFAULT,
    SHAPE_OF,
    VersionOrder,
    forbidden,
    impossible,
    meaning,
    sought,
    version_order,
)
from dynamesis.checkers.elle.list_append import Lists
from dynamesis.checkers.elle.rw_register import Registers
from dynamesis.checkers.elle.txn import NotTransactions, Txns, read_txns
from dynamesis.checkers.elle.txn_describe import Finding, index_of, key_name, proof
from dynamesis.checkers.elle.txn_internal import list_internal, lost_updates, register_internal
from dynamesis.checkers.elle.txn_orders import add_orders, updates
from dynamesis.checkers.elle.version_gaps import partly_ordered, unordered
from dynamesis.checkers.elle.version_order import Inferred, Order, infer
from dynamesis.checkers.explain.describe import listed
from dynamesis.checkers.graph.cycle_search import CAUSAL, FoundCycles, find_cycles
from dynamesis.checkers.graph.cycles import KINDS, PROCESS, REALTIME, WW, Cycle, Edges, Step
from dynamesis.checkers.graph.explained import Explained
from dynamesis.checkers.history.history import History
from dynamesis.checkers.history.pairing import OK
from dynamesis.checkers.verdict import (
    DESCRIBED,
    NOTHING_INFERRED,
    NOTHING_SUCCEEDED,
    Anomaly,
    CheckerResult,
    Verdict,
    judge,
)

#: the reason for an edge, given it and the names of its two transactions
Explain = Callable[[Step, str, str], str]
#: adds to edges what shapes need beside the usual ones
Later = Callable[[Edges], None]


@dataclass(frozen=True)
class ModelQuery:
    """What a history must not show, by the models and anomalies of a check."""

    #: names (and shapes), as sets of which each is looked for by itself
    sets: tuple[frozenset[str], ...]
    #: the names that make a history invalid
    illegal: frozenset[str]
    #: what the models imply of the order of versions
    order: VersionOrder

    @classmethod
    def of(cls, models: Sequence[str], anomalies: Sequence[str]) -> ModelQuery:
        """Raises UnknownModel."""
        chosen = models or (() if anomalies else DEFAULT)
        return cls(sought(chosen, anomalies), wanted(models, anomalies), version_order(chosen))

    @property
    def shapes(self) -> frozenset[str]:
        """Shapes that no set has the whole family of."""
        return frozenset(name for names in self.sets for name in names if name in SHAPE_OF)


def wanted(models: Sequence[str] = (), anomalies: Sequence[str] = ()) -> frozenset[str]:
    """The anomalies that make a history invalid. Raises UnknownModel."""
    chosen = models or (() if anomalies else DEFAULT)
    return forbidden(chosen) | (meaning(anomalies) if anomalies else frozenset())


def check_list_append(
    h: History, models: Sequence[str] = (), anomalies: Sequence[str] = ()
) -> CheckerResult:
    """Judge a list-append history (default: strict-serializable). Raises UnknownModel."""
    query = ModelQuery.of(models, anomalies)
    try:
        t = read_txns(h, "append", lists=True)
        lists = Lists.of(t)
    except NotTransactions as error:
        return judge((), [str(error)])
    views = partial(txn_visibility.of_lists, lists)
    found = [
        *_limited(list_append_findings.findings(lists)),
        *_limited(list_internal(lists)),
        *_limited(lost_updates(t, t.value, lists.prefix_of)),
        *_limited(txn_visibility.findings(views, query.shapes)),
    ]
    edges = Edges(len(t))
    list_append.add_edges(edges, lists)
    cycles = _search(edges, t, query, partial(list_append.add_later, lists=lists))
    verdict = conclude(t, cycles, found, query, partial(list_append_explain.explain, lists))
    if (
        verdict.verdict is Verdict.VALID
        and cycles.found.cycles
        and not _unread_fit(lists, edges, query)
    ):
        why = "no order of the appends that no read shows was found that the model allows"
        return judge((), [why], verdict.details)
    return verdict


def _unread_fit(lists: Lists, edges: Edges, query: ModelQuery) -> bool:
    """Whether appends that no read shows can be ordered so that nothing illegal shows, as tried in
    order of invocation and against it. Only those within one strong component matter."""
    graph = edges.graph()
    first, second = list_append.unread_pairs(lists, graph)
    for a, b in ((first, second), (second, first)):
        found = find_cycles(graph.with_edges(WW, a, b), query.sets, updates(lists.txns))
        if not any(cycle.judged_as in query.illegal for cycle in found.cycles):
            return not found.bounds
    return False


def check_rw_register(
    h: History,
    models: Sequence[str] = (),
    anomalies: Sequence[str] = (),
    assume: Sequence[str] = (),
) -> CheckerResult:
    """Judge an rw-register history (default: strict-serializable), inferring version orders
    from what is assumed of keys (of INFERENCES) and from what the consistency model implies.
    Raises UnknownModel."""
    query = ModelQuery.of(models, anomalies)
    try:
        t = read_txns(h, "w", lists=False)
        registers = Registers.of(t)
    except NotTransactions as error:
        return judge((), [str(error)])
    written = len(registers.mops)
    inferred = infer(t, registers.visits, registers.key_of, written, assume, query.order)
    order = inferred.order
    views = partial(txn_visibility.of_registers, registers, order)
    found = [
        *_limited(rw_register.findings(registers)),
        *_limited(register_internal(t)),
        *_limited(lost_updates(t, registers.version, registers.version >= 0)),
        *_limited(txn_visibility.findings(views, query.shapes)),
    ]
    if "internal" not in query.illegal:  # which has it already
        found += _limited(rw_register.unrepeatable(registers))
    edges = Edges(len(t))
    rw_register.add_edges(edges, registers, order)
    later = partial(rw_register.add_later, registers=registers, order=order)
    cycles = _search(edges, t, query, later)
    contradictions = [*_contradictions(registers, inferred, cycles.found, query)]
    explain = partial(rw_register.explain, registers, order)
    implied = bool(len(inferred.implied.lower)) and not len(inferred.against.lower)
    verdict = conclude(t, cycles, [*found, *contradictions], query, explain, implied)
    if verdict.verdict is not Verdict.VALID:
        return verdict
    timely = query.order.realtime == ALL or "linearizable" in assume
    return _ordered(verdict, registers, order, timely)


@dataclass(frozen=True)
class Searched:
    """What the search for cycles came to, and how many dependencies it went through."""

    found: FoundCycles
    dependencies: int


def _search(edges: Edges, t: Txns, query: ModelQuery, later: Later) -> Searched:
    """Add the orders that need no inference, and look for cycles."""
    dependencies = edges.size
    add_orders(edges, t, query.illegal)
    if CAUSAL in query.shapes:
        later(edges)
    return Searched(find_cycles(edges.graph(), query.sets, updates(t)), dependencies)


def _contradictions(
    registers: Registers, inferred: Inferred, found: FoundCycles, query: ModelQuery
) -> Iterator[Finding]:
    """`cyclic-versions`; by what the model implies, only if no cycle of transactions shows the
    same."""
    yield from _limited(rw_register.cyclic_versions(registers, inferred.against))
    if not any(cycle.judged_as in query.illegal for cycle in found.cycles):
        yield from _limited(rw_register.cyclic_versions(registers, inferred.implied))


def _ordered(
    verdict: CheckerResult, registers: Registers, order: Order, timely: bool
) -> CheckerResult:
    """Unknown where nothing orders a key's versions, not even real time."""
    t = registers.txns
    keys = np.empty(0, np.int64) if timely else unordered(registers, order)
    partly = {"partly_ordered_keys": len(partly_ordered(registers, order))}
    details = {**verdict.details, **{name: many for name, many in partly.items() if many}}
    if not len(keys):
        return replace(verdict, details=details)
    names = listed([key_name(t, key) for key in keys.tolist()])
    why = (
        f"no order of the versions of key{'s' * (len(keys) > 1)} {names} could be inferred: assume "
        "more of keys, or ask for a consistency model that implies it"
    )
    return judge((), [why], details)


def _limited(findings: Iterable[Finding]) -> Iterator[Finding]:
    """The first of each kind."""
    seen: Counter[str] = Counter()
    for finding in findings:
        seen[finding.name] += 1
        if seen[finding.name] <= 10 * DESCRIBED:
            yield finding


def conclude(
    t: Txns,
    searched: Searched,
    findings: list[Finding],
    query: ModelQuery,
    explain: Explain,
    implied: bool = False,
) -> CheckerResult:
    """Judge what was found. `implied`: versions that contradict one another do so by what the
    consistency model implies only."""
    if not np.any(t.status == OK):
        return judge((), [NOTHING_SUCCEEDED])
    cycles = searched.found
    known: list[Finding | Cycle] = [*findings, *cycles.cycles]
    judged = [each for each in known if each.judged_as in query.illegal]
    counts = Counter(f.name for f in findings) + cycles.counts
    details = {
        "transactions": len(t),
        "dependencies": searched.dependencies,
        "found": dict(counts),
        "not": _ruled_out(known, implied),
    }
    reasons = list(cycles.bounds)
    if not searched.dependencies:
        reasons.append(NOTHING_INFERRED)
    kept: dict[str, list[Finding | Cycle]] = {}
    for each in judged:
        kept.setdefault(each.name, []).append(each)
    described = [a for same in kept.values() for a in same[:DESCRIBED]]
    anomalies = [
        _anomaly(t, a) if isinstance(a, Finding) else _cycle(t, a, explain) for a in described
    ]
    beyond = Counter({n: cycles.counts[n] - _count(cycles, n) for n in kept})
    more = {n: len(same) - DESCRIBED for n, same in kept.items() if len(same) > DESCRIBED}
    return judge(anomalies, reasons, details, Counter(more) + beyond)


def _count(found: FoundCycles, name: str) -> int:
    return sum(cycle.name == name for cycle in found.cycles)


def _ruled_out(known: Sequence[Finding | Cycle], implied: bool) -> list[str]:
    """The weakest models that the anomalies rule out."""
    names = {each.judged_as for each in known}
    return list(impossible(names - {"cyclic-versions"} if implied else names))


def _anomaly(t: Txns, finding: Finding) -> Anomaly:
    key = None
    if finding.key is not None:
        name = t.keys[finding.key]
        key = name if isinstance(name, str) else t.history.spelled(name)
    return Anomaly(finding.name, f"{finding.why}.", key, proof(t, finding.txns))


def _cycle(t: Txns, cycle: Cycle, explain: Explain) -> Anomaly:
    """The cycle as prose: which transaction must come before which, and why."""
    names = {step.a: f"T{i + 1}" for i, step in enumerate(cycle.steps)}
    explained = Explained.of(
        cycle, lambda step: _reason(t, step, explain, names[step.a], names[step.b])
    )
    clauses, data = [], []
    for step, reason in explained.reasons():
        kind = KINDS[step.kind]
        clauses.append(f"{names[step.a]} before {names[step.b]} ({kind}): {reason}")
        ends = {"from": index_of(t, step.a), "to": index_of(t, step.b)}
        data.append({**ends, "kind": kind, "why": reason})
    which = ", ".join(
        f"{name} is the transaction at index {index_of(t, n)}" for n, name in names.items()
    )
    why = f"{which}. {'; '.join(clauses)}: a cycle."
    return Anomaly(cycle.name, why, None, proof(t, tuple(names)), {"cycle": data})


def _reason(t: Txns, step: Step, explain: Explain, a: str, b: str) -> str:
    if step.kind == PROCESS:
        return f"process {int(t.process[step.a])} did {a} before {b}"
    if step.kind == REALTIME:
        ended, begun = int(t.ended[step.a]), int(t.row[step.b])
        return f"{a} completed at index {ended}, {b} began at index {begun}"
    return explain(step, a, b)
