"""Model `rw-register`: transactions over registers whose written values are unique.

A read shows whose write it saw (wr), but not what came before: the order of a key's
versions must be inferred (`version_order`). From v < v' follow ww (their writers) and rw (the
readers of v before the writer of v'). Elle's rw-register (VLDB 2020), without its search
through transactions that do not touch the key.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
from dynamesis.checkers.elle.txn import NIL, Txns, Writes
from dynamesis.checkers.elle.txn_describe import (
    Finding,
    aborted,
    clause,
    did,
    index_of,
    key_name,
)
from dynamesis.checkers.elle.txn_internal import by_key
from dynamesis.checkers.elle.version_order import IMPLIED_WFR, SOURCES, Order, Visits
from dynamesis.checkers.explain.describe import as_text
from dynamesis.checkers.graph.cycles import GLUE, LATER, RW, WR, WW, Edges, Step, each_to_each
from dynamesis.checkers.graph.explained import graph_of, shortest_path
from dynamesis.checkers.history.pairing import FAIL, OK, Bools, Ints


@dataclass(frozen=True, eq=False)
class Registers:
    """Versions of all keys: first those written, sorted by `code`, then nil of each key.
    `version`: by micro-operation, the version that it wrote or read, -1 where it was
    never written or is not known."""

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
    def final(self) -> Bools:
        """By version: whether its transaction left it behind, and is not known to have failed;
        nil too. Others have no place in the version order."""
        t = self.txns
        group = t.txn[self.mops] * len(t.keys) + t.key[self.mops]
        order = np.lexsort((self.mops, group))
        final = np.ones(self.count, np.bool_)
        final[order[:-1]] = np.diff(group[order]) != 0
        final[: len(self.mops)] &= t.status[t.txn[self.mops]] != FAIL
        return final

    @cached_property
    def touched(self) -> Visits:
        """Which transaction touched which key, whatever it read there."""
        t = self.txns
        order, same = by_key(t)
        first = order[np.flatnonzero(~same)]
        group = np.cumsum(~same) - 1
        write = np.full(len(first), -1, np.int64)
        writing = np.flatnonzero(t.write[order])
        write[group[writing]] = self.version[order[writing]]
        read = np.where(t.write[first], -1, self.version[first])
        read = np.where(read == write, -1, read)
        visits = Visits(t.txn[first], t.key[first], read, write)
        return visits.those((t.status[visits.txn] != FAIL) & (visits.first >= 0))

    @cached_property
    def visits(self) -> Visits:
        """The same, of versions that have a place in the version order."""
        seen = self.touched
        read = np.where((seen.read >= 0) & self.final[seen.read], seen.read, -1)
        visits = Visits(seen.txn, seen.key, read, seen.write)
        return visits.those(visits.first >= 0)

    @cached_property
    def key_of(self) -> Ints:
        """By version: its key."""
        return np.concatenate([self.txns.key[self.mops], np.arange(len(self.txns.keys))])

    def name(self, version: int) -> str:
        """A version's value, as the history spells it."""
        t = self.txns
        if version >= len(self.mops):
            return "nil"
        return t.history.spelled(t.name(int(t.value[self.mops[version]])))


def add_edges(edges: Edges, registers: Registers, order: Order) -> None:
    """wr, and what the version order implies: ww and rw."""
    t, seen = registers.txns, registers.touched
    reads = np.flatnonzero((seen.read >= 0) & (seen.read < len(registers.mops)))
    writer = registers.writer[seen.read[reads]]
    present = t.status[writer] != FAIL
    edges.add(WR, writer[present], seen.txn[reads][present])
    below, above = registers.writer[order.lower], registers.writer[order.upper]
    # a transaction that reads a version and writes the next follows its writer by wr already
    both = (below >= 0) & (order.source != IMPLIED_WFR)
    readers = registers.visits.those(registers.visits.read >= 0)
    for level in np.unique(order.level).tolist():
        here = (order.level == level) & (above >= 0)
        edges.add(WW, below[both & here], above[both & here], level)
        targets = above[here], order.lower[here]
        each_to_each(edges, RW, (readers.txn, readers.read), targets, level)


def add_later(edges: Edges, registers: Registers, order: Order) -> None:
    """rw from readers to the writers of all later versions: a joint for each version."""
    readers = registers.visits.those(registers.visits.read >= 0)
    joint, after = edges.joints(registers.count), edges.joints(registers.count)
    edges.add(LATER, edges.reading_copies()[readers.txn], after[readers.read])
    edges.add(GLUE, after[order.lower], joint[order.upper])
    edges.add(GLUE, joint, after)
    written = np.flatnonzero(registers.writer >= 0)
    edges.add(GLUE, joint[written], registers.writer[written])


def findings(registers: Registers) -> Iterator[Finding]:
    """Every anomaly of single reads."""
    t, version = registers.txns, registers.version
    reads = np.flatnonzero(~t.write & t.known)
    for mop in reads[version[reads] < 0].tolist():
        why = f"{clause(t, mop)}, which was never written{as_text(t.name(int(t.value[mop])))}"
        yield Finding("phantom", int(t.key[mop]), (int(t.txn[mop]),), why)
    reads = reads[(version[reads] >= 0) & (version[reads] < len(registers.mops))]
    writer = registers.writer[version[reads]]
    for mop in reads[t.status[writer] == FAIL].tolist():
        yield aborted(t, mop, int(registers.mops[version[mop]]))
    yield from _own_reads(registers, reads)


def _own_reads(registers: Registers, reads: Ints) -> Iterator[Finding]:
    """G1b: a value that its writer overwrote itself; future-read: one's own, before the
    write."""
    t, version = registers.txns, registers.version
    source = registers.mops[version[reads]]
    other = t.txn[source] != t.txn[reads]
    possible = t.status[t.txn[source]] != FAIL
    for mop in reads[other & possible & ~registers.final[version[reads]]].tolist():
        write = int(registers.mops[version[mop]])
        why = f"{clause(t, mop)}, but {clause(t, write)} and then wrote it again"
        yield Finding("G1b", int(t.key[mop]), (int(t.txn[write]), int(t.txn[mop])), why)
    for mop in reads[~other & (source > reads)].tolist():
        why = f"{clause(t, mop)}, but wrote that only afterwards"
        yield Finding("future-read", int(t.key[mop]), (int(t.txn[mop]),), why)


def unrepeatable(registers: Registers) -> Iterator[Finding]:
    """G-single: a transaction read two versions of a key, one after the other, both of others.
    Whichever of them came first, the transaction missed what replaced it and saw what the other
    rests on."""
    t, version = registers.txns, registers.version
    order, same = by_key(t)
    foreign = ~t.write & (version >= 0) & registers.final[version]
    written = np.flatnonzero(foreign & (version < len(registers.mops)))
    foreign[written] &= registers.writer[version[written]] != t.txn[written]
    foreign &= t.status[t.txn] == OK
    this, before = order[1:], order[:-1]
    twice = same[1:] & foreign[this] & foreign[before] & (version[this] != version[before])
    for at in np.flatnonzero(twice).tolist():
        first, second = int(before[at]), int(this[at])
        why = f"{clause(t, first)}, and then {did(t, second)}: two versions of it"
        writers = {int(registers.writer[version[mop]]) for mop in (first, second)} - {-1}
        yield Finding("G-single", int(t.key[first]), (*sorted(writers), int(t.txn[first])), why)


def cyclic_versions(registers: Registers, against: Order) -> Iterator[Finding]:
    """One finding a key: a cycle of inferences about the order of its versions."""
    key = registers.key_of[against.lower]
    by_key_ = np.argsort(key, kind="stable")
    for edges in np.split(by_key_, np.flatnonzero(np.diff(key[by_key_])) + 1):
        if len(edges):
            few = _cycle(against, edges.tolist())
            clauses = [order_reason(registers, against, e) for e in few]
            txns = {int(x) for e in few for x in (against.before[e], against.after[e])}
            k = int(key[edges[0]])
            yield Finding("cyclic-versions", k, tuple(sorted(txns)), "; ".join(clauses))


def _cycle(order: Order, edges: list[int]) -> list[int]:
    """A short cycle through the first of these edges."""
    return [edges[0], *_path(order, edges, int(order.upper[edges[0]]), int(order.lower[edges[0]]))]


def _path(order: Order, edges: list[int], start: int, goal: int) -> list[int]:
    """Edges of a shortest path between two versions; empty if there is none."""
    ends = zip(order.lower[edges].tolist(), edges, order.upper[edges].tolist(), strict=True)
    graph = graph_of(ends, "edge")
    path = shortest_path(graph, start, goal)
    return [int(graph.edges[lower, upper]["edge"]) for lower, upper in pairwise(path)]


def order_reason(registers: Registers, order: Order, edge: int) -> str:
    """Why one version comes before another."""
    t = registers.txns
    low, up = registers.name(int(order.lower[edge])), registers.name(int(order.upper[edge]))
    key = key_name(t, int(registers.key_of[order.lower[edge]]))
    before, after = (index_of(t, int(x[edge])) for x in (order.before, order.after))
    how = {
        "nil": "nil comes first",
        "wfr": f"the transaction at index {after} read the one and wrote the other",
        "sequential": f"one process met them in this order (index {before}, index {after})",
        "linearizable": f"index {before} met the one before index {after}, with the other, began",
    }[SOURCES[order.source[edge]]]
    return f"key {key} was {low} before {up}: {how}"


def explain(registers: Registers, order: Order, step: Step, a: str, b: str) -> str:
    """The reason for an edge between two transactions."""
    seen, visits, t = registers.touched, registers.visits, registers.txns
    if step.kind == WR:
        of_b = seen.those(seen.txn == step.b)
        for version, key in zip(of_b.read.tolist(), of_b.key.tolist(), strict=True):
            if version >= 0 and registers.writer[version] == step.a:
                name = key_name(t, key)
                return f"{b} read {registers.name(version)} of key {name}, which {a} wrote"
    of_a, of_b = (visits.those(visits.txn == n) for n in (step.a, step.b))
    lowers = of_a.write if step.kind == WW else of_a.read
    edges = np.flatnonzero(np.isin(order.lower, lowers) & np.isin(order.upper, of_b.write))
    path = edges[:1].tolist() or _later_path(registers, order, lowers, of_b.write)
    did = "wrote" if step.kind == WW else "read"
    because = "; ".join(order_reason(registers, order, edge) for edge in path)
    return f"{a} {did} the earlier, {b} wrote the later; {because}"


def _later_path(registers: Registers, order: Order, lowers: Ints, uppers: Ints) -> list[int]:
    """Why one of these versions comes before one of those of the same key, over others."""
    for low in lowers[lowers >= 0].tolist():
        key = registers.key_of[low]
        edges = np.flatnonzero(registers.key_of[order.lower] == key).tolist()
        for up in uppers[uppers >= 0].tolist():
            if path := _path(order, edges, low, up):
                return path
    return []
