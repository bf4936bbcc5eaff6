"""Cycles among transactions, found on integer arrays and named as Elle names them.

Nodes are transactions, and beside them *joints*: nodes of no meaning that let one edge
fan out without writing down every pair. An edge into a joint has its own kind; the GLUE
edges that lead on carry that kind to the transactions behind. So "completed before it
began" costs three edges a transaction (`realtime`), whatever the concurrency.

A history without a cycle costs one pass for strong components (scipy, compiled). What
components there are get named one by one, by the strongest kind of cycle that they hold
for data edges alone, with process edges, and with realtime edges:

    G0             ww edges only
    G1c            ww and wr
    G-single       exactly one rw
    G-nonadjacent  several rw, never two in a row: what snapshot isolation forbids
    G2-item        any other with rw

A weaker kind in the same component is implied and not reported; one with process or
realtime edges is reported when it is stronger than what stands without them. Adya, Weak
Consistency (1999); Kingsbury and Alvaro, Elle (VLDB 2020).
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import breadth_first_order, connected_components

from .causality import spans
from .pairing import Bools, Ints

WW, WR, PROCESS, REALTIME, RW, GLUE = range(6)
KINDS = ("ww", "wr", "process", "realtime", "rw", "glue")

LEVELS = (("", ()), ("-process", (PROCESS,)), ("-realtime", (PROCESS, REALTIME)))
FAMILIES = ("G0", "G1c", "G-single", "G-nonadjacent", "G2-item")

#: components with an illegal cycle after which the rest are only counted
NAMED = 50
#: components that are looked at, at most
EXAMINED = 5000
#: edges through which a shortest cycle is sought
TRIES = 64
#: rw edges of one component that are tried for a G-single
SINGLES = 2000
#: edges walked in the search for one cycle; large components are tried through fewer edges
WALKED = 20_000_000


@dataclass(frozen=True)
class Step:
    """An edge of a cycle: transaction a, the kind of the edge, transaction b."""

    a: int
    kind: int
    b: int


@dataclass(frozen=True)
class Cycle:
    """A named cycle, its first step leaving its first transaction."""

    name: str
    steps: tuple[Step, ...]


@dataclass
class Edges:
    """Gathers edges; nodes below `transactions` are transactions, others joints."""

    transactions: int
    nodes: int = 0
    _source: list[Ints] = field(default_factory=list)
    _target: list[Ints] = field(default_factory=list)
    _kind: list[Ints] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.nodes = self.transactions

    def joints(self, count: int) -> Ints:
        """That many new nodes."""
        self.nodes += count
        return np.arange(self.nodes - count, self.nodes)

    def add(self, kind: int, source: Ints, target: Ints) -> None:
        """Edges of one kind; those from a node to itself are dropped."""
        keep = source != target
        self._source.append(source[keep].astype(np.int32))
        self._target.append(target[keep].astype(np.int32))
        self._kind.append(np.full(int(keep.sum()), kind, np.int8))

    @property
    def size(self) -> int:
        """How many edges there are so far."""
        return sum(map(len, self._kind))

    def graph(self) -> Graph:
        """All that was gathered."""
        if not self._source:
            self.add(WW, np.empty(0, np.int64), np.empty(0, np.int64))
        source, target = np.concatenate(self._source), np.concatenate(self._target)
        return Graph(self.nodes, self.transactions, source, target, np.concatenate(self._kind))


@dataclass(frozen=True)
class Graph:
    """Edges as arrays."""

    nodes: int
    transactions: int
    source: Ints
    target: Ints
    kind: Ints

    def only(self, kinds: Sequence[int]) -> Graph:
        """The graph with edges of these kinds."""
        keep = np.isin(self.kind, kinds)
        kept = self.source[keep], self.target[keep], self.kind[keep]
        return Graph(self.nodes, self.transactions, *kept)

    def matrix(self) -> csr_array:
        ones = np.ones(len(self.source), np.int32)
        return csr_array((ones, (self.source, self.target)), shape=(self.nodes, self.nodes))

    def components(self) -> Ints:
        """By node: the number of its strong component."""
        _, labels = connected_components(self.matrix(), directed=True, connection="strong")
        numbers: Ints = labels
        return numbers

    def inner(self) -> Bools:
        """Which edges lie inside a strong component, so that a cycle uses them."""
        labels = self.components()
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


def all_but_self(edges: Edges, kind: int, sources: Ints, targets: Ints) -> None:
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
    edges.add(kind, sources[~itself], np.full(int((~itself).sum()), forward[0]))
    after = itself & (own < many - 1)
    edges.add(kind, sources[after], forward[own[after] + 1])
    ahead = itself & (own > 0)
    edges.add(kind, sources[ahead], backward[own[ahead] - 1])


def each_to_each(
    edges: Edges, kind: int, source: Ints, source_group: Ints, target: Ints, target_group: Ints
) -> None:
    """Edges from every source to every target of the same group (groups are small numbers),
    but none to itself: one by one where that is few, else through joints."""
    groups = int(max(source_group.max(initial=-1), target_group.max(initial=-1))) + 1
    source, source_start = _by_group(source, source_group, groups)
    target, target_start = _by_group(target, target_group, groups)
    sources, targets = np.diff(source_start), np.diff(target_start)
    many = sources * targets > 4 * (sources + targets) + 64
    fan = np.where(many, 0, targets)
    group = np.repeat(np.arange(groups), sources)
    pairs = spans(target_start[group], fan[group])
    edges.add(kind, np.repeat(source, fan[group]), target[pairs])
    for g in np.flatnonzero(many).tolist():
        own = source[source_start[g] : source_start[g + 1]]
        all_but_self(
            edges, kind, np.unique(own), np.unique(target[target_start[g] : target_start[g + 1]])
        )


def _by_group(members: Ints, group: Ints, groups: int) -> tuple[Ints, Ints]:
    order = np.argsort(group, kind="stable")
    return members[order], np.searchsorted(group[order], np.arange(groups + 1))


def find_cycles(graph: Graph, illegal: Container[str] | None = None) -> tuple[list[Cycle], int]:
    """Named cycles, component by component, the smallest first, until enough are `illegal`
    (None: all are); and how many components were not looked at."""
    groups = _components(graph)
    cycles: list[Cycle] = []
    bad = 0
    for looked_at, group in enumerate(groups):
        if bad >= NAMED or looked_at >= EXAMINED:
            return cycles, len(groups) - looked_at
        named = list(_name(graph, group))
        cycles += named
        bad += any(illegal is None or cycle.name in illegal for cycle in named)
    return cycles, 0


def _components(graph: Graph) -> list[Ints]:
    """The edges inside each strong component that has any, the smallest first."""
    labels = graph.components()
    inner = np.flatnonzero(labels[graph.source] == labels[graph.target])
    within = labels[graph.source[inner]]
    order = np.argsort(within, kind="stable")
    groups = np.split(inner[order], np.flatnonzero(np.diff(within[order])) + 1)
    return sorted((group for group in groups if len(group)), key=len)


def _name(whole: Graph, edges: Ints) -> Iterator[Cycle]:
    """The strongest cycle of a component on each level where it says something new."""
    nodes, flat = np.unique([whole.source[edges], whole.target[edges]], return_inverse=True)
    source, target = flat.reshape(2, -1)
    transactions = int(np.searchsorted(nodes, whole.transactions))
    part = Graph(len(nodes), transactions, source, target, whole.kind[edges])
    strongest = len(FAMILIES)
    for suffix, extra in LEVELS:
        for rank, family in enumerate(FAMILIES[:strongest]):
            hops = _search(part, family, (GLUE, *extra))
            if hops:
                steps = _between_transactions(hops, transactions)
                named = tuple(Step(int(nodes[s.a]), s.kind, int(nodes[s.b])) for s in steps)
                yield Cycle(family + suffix, named)
                strongest = rank
                break


#: an edge as it stands in the graph: from, kind, to
Hop = tuple[int, int, int]


def _search(graph: Graph, family: str, extra: tuple[int, ...]) -> list[Hop]:
    if family == "G0":
        return _shortest(graph.only((WW, *extra)))
    base = (WW, WR, *extra)
    if family == "G1c":
        return _shortest(graph.only(base))
    if family == "G-single":
        return _best(graph.only(base), graph, np.flatnonzero(graph.kind == RW)[:SINGLES])
    if family == "G-nonadjacent":
        return _nonadjacent(graph.only((*base, RW)))
    return _shortest(graph.only((*base, RW)))


def _shortest(graph: Graph) -> list[Hop]:
    """A short cycle, the shortest through any of a number of edges; empty without one."""
    inner = np.flatnonzero(graph.inner())
    return _best(graph, graph, inner[graph.kind[inner] != GLUE][:TRIES])


def _best(paths: Graph, graph: Graph, edges: Ints) -> list[Hop]:
    """The shortest cycle closed by one of these edges of `graph` and a path in `paths`."""
    matrix = paths.matrix() if len(edges) else None
    best: list[int] = []
    affordable = max(2, WALKED // (1 + len(paths.source)))
    for edge in edges[:affordable].tolist():
        path = _path(matrix, int(graph.target[edge]), int(graph.source[edge]))
        if path and (not best or len(path) < len(best)):
            best, closing = path, int(graph.kind[edge])
        if len(best) == 2:
            break
    if not best:
        return []
    return [(a, _kind(paths, a, b), b) for a, b in pairwise(best)] + [(best[-1], closing, best[0])]


def _path(matrix: csr_array, start: int, goal: int) -> list[int]:
    """Nodes of a shortest path, empty if there is none."""
    _, before = breadth_first_order(matrix, start)
    path = [goal]
    while path[-1] != start:
        previous = int(before[path[-1]])
        if previous < 0:
            return []
        path.append(previous)
    return path[::-1]


def _kind(graph: Graph, a: int, b: int) -> int:
    """The strongest kind of the edges from a to b."""
    return int(graph.kind[(graph.source == a) & (graph.target == b)].min())


def _nonadjacent(graph: Graph) -> list[Hop]:
    """A cycle whose rw edges are never adjacent: every node doubled by whether the last
    edge was rw, so that from the second copy no rw edge leaves."""
    n, rw = graph.nodes, graph.kind == RW
    again = ~rw
    after_rw = np.where(graph.kind == GLUE, graph.target + n, graph.target)
    doubled = Graph(
        2 * n,
        graph.transactions,
        np.concatenate([graph.source, graph.source[again] + n]),
        np.concatenate([np.where(rw, graph.target + n, graph.target), after_rw[again]]),
        np.concatenate([graph.kind, graph.kind[again]]),
    )
    closing = np.flatnonzero(doubled.inner() & (doubled.kind == RW))[:TRIES]
    return [(a % n, kind, b % n) for a, kind, b in _best(doubled, doubled, closing)]


def _between_transactions(hops: list[Hop], transactions: int) -> list[Step]:
    """The hops with the joints left out: each step has the kind of the edge that leaves
    its transaction."""
    start = next(i for i, (a, _, _) in enumerate(hops) if a < transactions)
    steps: list[Step] = []
    came, entered = -1, -1
    for a, kind, b in hops[start:] + hops[:start]:
        if a < transactions:
            came, entered = a, kind
        if b < transactions:
            steps.append(Step(came, entered, b))
    return steps
