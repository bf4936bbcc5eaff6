"""Dependencies between transactions as integer arrays.

Nodes are transactions, and beside them *joints*: nodes of no meaning that let one edge
fan out without writing down every pair. An edge into a joint has its own kind; the GLUE
edges that lead on carry that kind to the transactions behind. So "completed before it
began" costs three edges a transaction (`realtime`), whatever the concurrency.

An edge has a *level* beside its kind: 0 where the data show it; 1 where it rests on the
order of a process; 2 where it rests on real time. Process and realtime edges do so by
themselves, ww and rw edges where the order of versions was inferred from these.
`cycle_search` finds and names cycles.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from dynamesis.checkers.graph.causality import spans
from dynamesis.checkers.graph.reach import strong_components
from dynamesis.checkers.history.pairing import Bools, Ints

if TYPE_CHECKING:
    from scipy.sparse import csr_array

#: LATER is rw to any later version, not only the next: what causal models look at
WW, WR, PROCESS, REALTIME, RW, GLUE, LATER = range(7)
KINDS = ("ww", "wr", "process", "realtime", "rw", "glue", "rw")

#: the level of an edge that is not given one, by kind
_LEVEL = (0, 0, 1, 2, 0, 0, 0)


@dataclass(frozen=True)
class Step:
    """An edge of a cycle: transaction a, the kind of the edge, transaction b."""

    a: int
    kind: int
    b: int


@dataclass(frozen=True)
class Cycle:
    """A named cycle, its first step leaving its first transaction. `shape`: the name by which
    it is judged, where a model forbids less than all cycles of that name."""

    name: str
    steps: tuple[Step, ...]
    shape: str = ""

    @property
    def judged_as(self) -> str:
        return self.shape or self.name


@dataclass
class Edges:
    """Gathers edges; nodes below `transactions` are transactions, others joints."""

    transactions: int
    nodes: int = 0
    #: the first of the copies of all transactions (see reading_copies), -1 without
    copies: int = -1
    _source: list[Ints] = field(default_factory=list)
    _target: list[Ints] = field(default_factory=list)
    _kind: list[Ints] = field(default_factory=list)
    _level: list[Ints] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.nodes = self.transactions

    def joints(self, count: int) -> Ints:
        """That many new nodes."""
        self.nodes += count
        return np.arange(self.nodes - count, self.nodes)

    def add(self, kind: int, source: Ints, target: Ints, level: int | None = None) -> None:
        """Edges of one kind and level; those from a node to itself are dropped."""
        keep = source != target
        self._source.append(source[keep].astype(np.int32))
        self._target.append(target[keep].astype(np.int32))
        self._kind.append(np.full(int(keep.sum()), kind, np.int8))
        self._level.append(
            np.full(int(keep.sum()), _LEVEL[kind] if level is None else level, np.int8)
        )

    def reading_copies(self) -> Ints:
        """A copy of each transaction that only the wr edges enter that are there so far. An edge
        from a copy lies on a cycle only where the transaction read from another."""
        copies = self.joints(self.transactions)
        self.copies = int(copies[0]) if len(copies) else -1
        for source, target, kind in [*zip(self._source, self._target, self._kind, strict=True)]:
            wr = kind == WR
            self.add(WR, source[wr], copies[target[wr]])
        return copies

    @property
    def size(self) -> int:
        """How many edges there are so far."""
        return sum(map(len, self._kind))

    def graph(self) -> Graph:
        """All that was gathered."""
        if not self._source:
            self.add(WW, np.empty(0, np.int64), np.empty(0, np.int64))
        for column in (self._source, self._target, self._kind, self._level):
            if len(column) > 1:  # held once, by the graph and here
                column[:] = [np.concatenate(column)]
        [source], [target], [kind], [level] = self._source, self._target, self._kind, self._level
        return Graph(self.nodes, self.transactions, source, target, kind, level, self.copies)


@dataclass(frozen=True, eq=False)
class Graph:
    """Edges as arrays."""

    nodes: int
    transactions: int
    source: Ints
    target: Ints
    kind: Ints
    level: Ints
    copies: int = -1

    def original(self, node: int) -> int:
        """The transaction of a copy; other nodes as they are."""
        copied = self.copies >= 0 and 0 <= node - self.copies < self.transactions
        return node - self.copies if copied else node

    def keep(self, kept: Bools | Ints) -> Graph:
        """The graph with these edges only."""
        columns = (self.source, self.target, self.kind, self.level)
        source, target, kind, level = (column[kept] for column in columns)
        return Graph(self.nodes, self.transactions, source, target, kind, level, self.copies)

    def with_edges(self, kind: int, source: Ints, target: Ints) -> Graph:
        """The graph and more edges of one kind, of level 0."""
        many = len(source)
        return Graph(
            self.nodes,
            self.transactions,
            np.append(self.source, source),
            np.append(self.target, target),
            np.append(self.kind, np.full(many, kind, np.int8)),
            np.append(self.level, np.zeros(many, np.int8)),
            self.copies,
        )

    def only(self, kinds: Sequence[int], level: int = 2) -> Graph:
        """The graph with edges of these kinds, up to this level."""
        return self.keep(np.isin(self.kind, kinds) & (self.level <= level))

    def matrix(self) -> csr_array:
        """The edges as a sparse matrix."""
        from scipy.sparse import csr_array  # slow to import, so only where it is used

        ones = np.ones(len(self.source), np.int32)
        return csr_array((ones, (self.source, self.target)), shape=(self.nodes, self.nodes))

    def inner(self) -> Bools:
        """Which edges lie inside a strong component, so that a cycle uses them."""
        labels = strong_components(self.nodes, self.source, self.target)
        inner: Bools = labels[self.source] == labels[self.target]
        return inner


def realtime(edges: Edges, transactions: Ints, begun: Ints, ended: Ints) -> None:
    """Add "completed before it began" among these transactions. `begun` and `ended` are
    rows; `ended` is a very large number for those that never did, or may not have."""
    order = np.argsort(ended, kind="stable")
    done = order[ended[order] < np.iinfo(np.int64).max]
    if not len(done):
        return
    line = edges.joints(len(done))
    edges.add(REALTIME, transactions[done], line)
    edges.add(GLUE, line[:-1], line[1:])
    before = np.searchsorted(ended[done], begun) - 1
    later = before >= 0
    edges.add(GLUE, line[before[later]], transactions[later])


def all_but_self(
    edges: Edges, kind: int, sources: Ints, targets: Ints, level: int | None = None
) -> None:
    """An edge from every source to every target but itself, in linear space: a line of
    joints over the targets in each direction, entered beside the source's own place."""
    many = len(targets)
    forward, backward = edges.joints(many), edges.joints(many)
    edges.add(GLUE, forward, targets)
    edges.add(GLUE, forward[:-1], forward[1:])
    edges.add(GLUE, backward, targets)
    edges.add(GLUE, backward[1:], backward[:-1])
    order = np.argsort(targets, kind="stable")
    place = np.minimum(np.searchsorted(targets[order], sources), many - 1)
    own = order[place]
    itself = targets[own] == sources
    edges.add(kind, sources[~itself], np.full(int((~itself).sum()), forward[0]), level)
    after = itself & (own < many - 1)
    edges.add(kind, sources[after], forward[own[after] + 1], level)
    ahead = itself & (own > 0)
    edges.add(kind, sources[ahead], backward[own[ahead] - 1], level)


def each_to_each(
    edges: Edges,
    kind: int,
    sources: tuple[Ints, Ints],
    targets: tuple[Ints, Ints],
    level: int | None = None,
) -> None:
    """Edges from every source to every target of the same group, but none to itself: one by one
    where that is few, else through joints. Sources and targets are nodes and their groups
    (small numbers)."""
    groups = int(max(sources[1].max(initial=-1), targets[1].max(initial=-1))) + 1
    source, source_start = _by_group(*sources, groups)
    target, target_start = _by_group(*targets, groups)
    from_, to = np.diff(source_start), np.diff(target_start)
    many = from_ * to > 4 * (from_ + to) + 64
    fan = np.where(many, 0, to)
    group = np.repeat(np.arange(groups), from_)
    pairs = spans(target_start[group], fan[group])
    edges.add(kind, np.repeat(source, fan[group]), target[pairs], level)
    for g in np.flatnonzero(many).tolist():
        own = np.unique(source[source_start[g] : source_start[g + 1]])
        others = np.unique(target[target_start[g] : target_start[g + 1]])
        all_but_self(edges, kind, own, others, level)


def _by_group(members: Ints, group: Ints, groups: int) -> tuple[Ints, Ints]:
    order = np.argsort(group, kind="stable")
    return members[order], np.searchsorted(group[order], np.arange(groups + 1))
