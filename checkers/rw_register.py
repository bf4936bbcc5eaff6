"""Model `rw-register`: transactions over registers whose written values are unique.

A read tells who wrote what it saw (wr), but not what came before: the order of a key's
versions must be inferred, and only as far as what is assumed allows:

- nil comes before every version (always);
- `wfr`: what a transaction reads of a key comes before what it writes to it;
- `sequential`: each process meets a key's versions in their order;
- `linearizable`: so does everybody in real time: what completed before another began met
  no later version.

From v < v' follow ww (their writers) and rw (the readers of v before the writer of v').
Inference is sound for what it assumes, and linear: of the transactions of a key that
completed before another began, only those matter that no third one separates from it, and
these are neighbours in the order of completion. Elle's rw-register (VLDB 2020), without
its search through transactions that do not touch the key.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from functools import cached_property

import numpy as np
from scipy.sparse.csgraph import connected_components

from .causality import spans
from .cycles import RW, WR, WW, Edges, Graph, Step, each_to_each
from .pairing import FAIL, OK, Bools, Ints
from .txn import NIL, Txns, Writes
from .txn_internal import by_key
from .txn_words import Finding, index_of, said

INFERENCES = ("wfr", "sequential", "linearizable")


@dataclass(frozen=True, eq=False)
class Visits:
    """One row for each transaction and key that it touched, failed ones left out: the version
    that it read from outside, the one that it left behind, -1 for none."""

    txn: Ints
    key: Ints
    read: Ints
    write: Ints

    @property
    def first(self) -> Ints:
        """What the transaction met first."""
        return np.where(self.read >= 0, self.read, self.write)

    @property
    def last(self) -> Ints:
        """What it met or made last."""
        return np.where(self.write >= 0, self.write, self.read)


@dataclass(frozen=True, eq=False)
class Order:
    """Edges lower -> upper of the version order, each with the two transactions and the
    inference (number in SOURCES) that it comes from; sorted by code, each once."""

    lower: Ints
    upper: Ints
    before: Ints
    after: Ints
    source: Ints


SOURCES = ("nil", *INFERENCES)


@dataclass(frozen=True, eq=False)
class Registers:
    """Versions of all keys: first those written, sorted by `code`, then nil of each key.
    `version`: by micro-operation, the version that it wrote or read, -1 where nobody wrote
    it or it is not known."""

    txns: Txns
    mops: Ints
    version: Ints

    @classmethod
    def of(cls, t: Txns) -> Registers:
        """Raises NotTransactions when a value is written to a key twice."""
        writes = Writes.of(t)
        version = np.full(len(t.txn), -1, np.int64)
        version[writes.mops] = np.arange(len(writes))
        reads = np.flatnonzero(~t.write & t.known)
        version[reads] = writes.find(t.key[reads], t.value[reads])
        nil = reads[t.value[reads] == NIL]
        version[nil] = len(writes) + t.key[nil]
        return cls(t, writes.mops, version)

    @property
    def count(self) -> int:
        """How many versions there are, nils included."""
        return len(self.mops) + len(self.txns.keys)

    @cached_property
    def writer(self) -> Ints:
        """By version: the transaction that wrote it; -1 for nil."""
        written = self.txns.txn[self.mops]
        return np.concatenate([written, np.full(len(self.txns.keys), -1, np.int64)])

    @cached_property
    def visits(self) -> Visits:
        """Who touched which key."""
        t = self.txns
        order, same = by_key(t)
        first = order[np.flatnonzero(~same)]
        group = np.cumsum(~same) - 1
        write = np.full(len(first), -1, np.int64)
        writing = np.flatnonzero(t.write[order])
        write[group[writing]] = self.version[order[writing]]
        read = np.where(t.write[first], -1, self.version[first])
        kept = (t.status[t.txn[first]] != FAIL) & ((read >= 0) | (write >= 0))
        return Visits(t.txn[first[kept]], t.key[first[kept]], read[kept], write[kept])

    def name(self, version: int) -> str:
        """A version's value, as it stood in the history."""
        if version >= len(self.mops):
            return "nil"
        return repr(self.txns.name(int(self.txns.value[self.mops[version]])))


def infer(registers: Registers, assumed: Sequence[str]) -> Order:
    """The version order under these assumptions (of INFERENCES)."""
    visits, t = registers.visits, registers.txns
    parts = [_after_nil(registers)]
    if "wfr" in assumed:
        both = np.flatnonzero((visits.read >= 0) & (visits.write >= 0))
        txn = visits.txn[both]
        parts.append((visits.read[both], visits.write[both], txn, txn, 1))
    if "sequential" in assumed:
        parts += _met(visits, *_next_in_process(t, visits), 2)
    if "linearizable" in assumed:
        parts += _met(visits, *_next_in_time(t, visits), 3)
    lower, upper, before, after = (np.concatenate([p[i] for p in parts]) for i in range(4))
    source = np.concatenate([np.full(len(p[0]), p[4], np.int8) for p in parts])
    kept = np.flatnonzero(lower != upper)
    codes = lower[kept] * registers.count + upper[kept]
    first = np.unique(codes, return_index=True)[1]
    chosen = kept[first]
    return Order(lower[chosen], upper[chosen], before[chosen], after[chosen], source[chosen])


Part = tuple[Ints, Ints, Ints, Ints, int]


def _after_nil(registers: Registers) -> Part:
    """nil before every version, for keys where someone read nil."""
    visits, t = registers.visits, registers.txns
    nil = np.full(len(t.keys), -1, np.int64)
    saw = visits.read >= len(registers.mops)
    nil[visits.key[saw]] = visits.txn[saw]
    wrote = np.flatnonzero((visits.write >= 0) & (nil[visits.key] >= 0))
    key, txn = visits.key[wrote], visits.txn[wrote]
    return len(registers.mops) + key, visits.write[wrote], nil[key], txn, 0


def _met(visits: Visits, earlier: Ints, later: Ints, source: int) -> list[Part]:
    """All that the earlier visit met comes before all that the later one met. Most visits met
    one version only, so that the second pair of each is a small part."""
    first, last = visits.first, visits.last
    two = first != last
    return [
        (
            low[earlier[kept]],
            up[later[kept]],
            visits.txn[earlier[kept]],
            visits.txn[later[kept]],
            source,
        )
        for low, of_earlier in ((last, None), (first, two))
        for up, of_later in ((first, None), (last, two))
        for kept in (_both(earlier, of_earlier, later, of_later),)
    ]


def _both(earlier: Ints, of_earlier: Bools | None, later: Ints, of_later: Bools | None) -> Ints:
    """Which pairs have an earlier visit among these and a later one among those."""
    kept = np.ones(len(earlier), np.bool_)
    if of_earlier is not None:
        kept &= of_earlier[earlier]
    if of_later is not None:
        kept &= of_later[later]
    return np.flatnonzero(kept)


def _next_in_process(t: Txns, visits: Visits) -> tuple[Ints, Ints]:
    """Each visit and the next one to its key by its process, where the first succeeded."""
    process = t.process[visits.txn]
    order = np.lexsort((visits.txn, visits.key, process))
    same = (np.diff(process[order]) == 0) & (np.diff(visits.key[order]) == 0)
    earlier, later = order[:-1][same], order[1:][same]
    done = t.status[visits.txn[earlier]] == OK
    return earlier[done], later[done]


def _next_in_time(t: Txns, visits: Visits) -> tuple[Ints, Ints]:
    """Pairs of visits to a key of which one ended before the other began, with no third
    between. In order of completion these are neighbours: all that ended after the latest
    beginning among those that had ended by then."""
    span = np.int64(len(t.history) + 1)
    begun = t.row[visits.txn] + visits.key * span
    done = np.flatnonzero(t.status[visits.txn] == OK)
    if not len(done):
        return done, done
    done = done[np.argsort(t.ended[visits.txn[done]] + visits.key[done] * span, kind="stable")]
    ended = t.ended[visits.txn[done]] + visits.key[done] * span
    latest = np.maximum.accumulate(begun[done])
    behind = np.searchsorted(ended, begun)
    same_key = (behind > 0) & (visits.key[done[np.maximum(behind - 1, 0)]] == visits.key)
    later = np.flatnonzero(same_key)
    start = np.searchsorted(ended, latest[behind[later] - 1], side="right")
    count = behind[later] - start
    return done[spans(start, count)], np.repeat(later, count)


def cyclic(registers: Registers, order: Order) -> Bools:
    """Which edges of the version order lie on a cycle of it."""
    kinds = np.zeros(len(order.lower), np.int8)
    graph = Graph(registers.count, registers.count, order.lower, order.upper, kinds)
    _, labels = connected_components(graph.matrix(), directed=True, connection="strong")
    on_cycle: Bools = labels[order.lower] == labels[order.upper]
    return on_cycle


def without(order: Order, left_out: Bools) -> Order:
    """The order without these edges."""
    kept = ~left_out
    return Order(*(getattr(order, field.name)[kept] for field in fields(order)))


def add_edges(edges: Edges, registers: Registers, order: Order) -> None:
    """wr, and what the version order implies: ww and rw."""
    t, visits = registers.txns, registers.visits
    reads = np.flatnonzero((visits.read >= 0) & (visits.read < len(registers.mops)))
    writer = registers.writer[visits.read[reads]]
    stands = t.status[writer] != FAIL
    edges.add(WR, writer[stands], visits.txn[reads][stands])

    possible = np.append(t.status != FAIL, False)
    below, above = registers.writer[order.lower], registers.writer[order.upper]
    onto = possible[above]
    both = onto & possible[below]
    edges.add(WW, below[both], above[both])

    readers = np.flatnonzero(visits.read >= 0)
    each_to_each(
        edges, RW, visits.txn[readers], visits.read[readers], above[onto], order.lower[onto]
    )


def findings(registers: Registers, order: Order, on_cycle: Bools) -> Iterator[Finding]:
    """Every anomaly that needs no cycle of transactions."""
    t, version = registers.txns, registers.version
    reads = np.flatnonzero(~t.write & t.known)
    for mop in reads[version[reads] < 0].tolist():
        why = f"{said(t, mop)}, which nobody wrote"
        yield Finding("phantom", int(t.key[mop]), (int(t.txn[mop]),), why)
    reads = reads[(version[reads] >= 0) & (version[reads] < len(registers.mops))]
    writer = registers.writer[version[reads]]
    for mop in reads[t.status[writer] == FAIL].tolist():
        source = int(registers.writer[version[mop]])
        why = f"{said(t, mop)}, but {said(t, int(registers.mops[version[mop]]))} and failed"
        yield Finding("G1a", int(t.key[mop]), (source, int(t.txn[mop])), why)
    yield from _own_reads(registers, reads)
    yield from _cyclic_versions(registers, order, on_cycle)


def _own_reads(registers: Registers, reads: Ints) -> Iterator[Finding]:
    """G1b: a value that its writer overwrote itself; future-read: one's own, before the
    write."""
    t, version = registers.txns, registers.version
    visits = registers.visits
    final = np.zeros(registers.count, np.bool_)
    final[visits.write[visits.write >= 0]] = True
    source = registers.mops[version[reads]]
    other = t.txn[source] != t.txn[reads]
    possible = t.status[t.txn[source]] != FAIL
    for mop in reads[other & possible & ~final[version[reads]]].tolist():
        write = int(registers.mops[version[mop]])
        why = f"{said(t, mop)}, but {said(t, write)} and then wrote it again"
        yield Finding("G1b", int(t.key[mop]), (int(t.txn[write]), int(t.txn[mop])), why)
    for mop in reads[~other & (source > reads)].tolist():
        why = f"{said(t, mop)}, but wrote that only afterwards"
        yield Finding("future-read", int(t.key[mop]), (int(t.txn[mop]),), why)


def _cyclic_versions(registers: Registers, order: Order, on_cycle: Bools) -> Iterator[Finding]:
    """One finding a key: the edges of its version order that contradict one another."""
    edges = np.flatnonzero(on_cycle)
    key = _key_of(registers, order.lower[edges])
    for k in np.unique(key).tolist():
        few = edges[key == k][:6].tolist()
        clauses = [order_reason(registers, order, e) for e in few]
        txns = {int(x) for e in few for x in (order.before[e], order.after[e])}
        yield Finding("cyclic-versions", k, tuple(sorted(txns)), "; ".join(clauses))


def _key_of(registers: Registers, version: Ints) -> Ints:
    written = len(registers.mops)
    key = registers.txns.key[registers.mops]
    nils = np.arange(len(registers.txns.keys))
    return np.concatenate([key, nils])[version] if written else nils[version - written]


def order_reason(registers: Registers, order: Order, edge: int) -> str:
    """Why one version comes before another."""
    t = registers.txns
    low, up = registers.name(int(order.lower[edge])), registers.name(int(order.upper[edge]))
    key = t.keys[int(_key_of(registers, order.lower[edge : edge + 1])[0])]
    before, after = (index_of(t, int(x[edge])) for x in (order.before, order.after))
    how = {
        "nil": "nil comes first",
        "wfr": f"the transaction at index {after} read the one and wrote the other",
        "sequential": f"one process met them in this order (index {before}, index {after})",
        "linearizable": f"index {before} met the one before index {after}, with the other, began",
    }[SOURCES[order.source[edge]]]
    return f"key {key!r} was {low} before {up}: {how}"


def explain(registers: Registers, order: Order, step: Step, a: str, b: str) -> str:
    """Why an edge stands between two transactions."""
    visits, t = registers.visits, registers.txns
    of_a, of_b = (np.flatnonzero(visits.txn == n) for n in (step.a, step.b))
    if step.kind == WR:
        for visit in of_b.tolist():
            version = int(visits.read[visit])
            if version >= 0 and registers.writer[version] == step.a:
                key = t.keys[visits.key[visit]]
                return f"{b} read {registers.name(version)} of key {key!r}, which {a} wrote"
    lowers = visits.read[of_a] if step.kind == RW else visits.write[of_a]
    edges = np.flatnonzero(np.isin(order.lower, lowers) & np.isin(order.upper, visits.write[of_b]))
    if len(edges):
        did = "read" if step.kind == RW else "wrote"
        because = order_reason(registers, order, int(edges[0]))
        return f"{a} {did} the earlier, {b} wrote the later; {because}"
    return f"{b} depends on {a}"
