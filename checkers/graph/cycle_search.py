"""Cycles among transactions, found exactly and named as Elle names them.

    G0             ww edges only
    G1c            ww and wr
    G-single       exactly one rw
    G-nonadjacent  several rw, never two in a row: what snapshot isolation forbids
    G2-item        any other with rw

Each family is a question about paths, asked of the whole graph in one search without a bound:
strong components of the ww and wr edges (G0, G1c), an rw edge whose end leads back to its
beginning without another (G-single: `reach`), strong components of a graph whose nodes are
doubled by whether the last edge was rw (G-nonadjacent), an rw edge within a strong component
(G2-item). A history without a cycle costs one pass for strong components.

Each is asked of data edges alone, with the order of processes, and with real time. Of a
component the strongest cycle is reported, and one of a higher level where it is stronger;
beside these, one of each set of names that the caller wants and that has none yet. Some
models forbid a *shape* that is less than a family: see SHAPES. Adya, Weak Consistency (1999);
Cerone, Bernardi and Gotsman (2015, 2017); Kingsbury and Alvaro, Elle (VLDB 2020).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

import numpy as np
from dynamesis.checkers.graph.cycle_walk import (
    between_transactions,
    doubled,
    family_of,
    shortest,
    simple,
    simple_walk,
)
from dynamesis.checkers.graph.cycles import (
    GLUE,
    LATER,
    PROCESS,
    REALTIME,
    RW,
    WR,
    WW,
    Cycle,
    Graph,
)
from dynamesis.checkers.graph.explained import Hop
from dynamesis.checkers.graph.reach import reachable, strong_components
from dynamesis.checkers.history.pairing import Bools, Ints

LEVELS = ("", "-process", "-realtime")
FAMILIES = ("G0", "G1c", "G-single", "G-nonadjacent", "G2-item")

#: wr edges, and one rw to any later version: what breaks transitive visibility
CAUSAL = "G-single/causal"
#: each rw edge right after a wr edge: what breaks prefix consistency
PREFIX = "G-nonadjacent/prefix"
#: all transactions but one write: what breaks update serializability
UPDATE = "G2-item/update"
SHAPES = (CAUSAL, PREFIX, UPDATE)

#: cycles of one name that are found in full; the others are counted
NAMED = 100
#: steps of the search for a G-nonadjacent that passes no transaction twice, where a G1c is
#: in the same component (no quick test is known there)
SIMPLE_STEPS = 500_000

_DATA = (WW, WR, PROCESS, REALTIME, GLUE)


@dataclass
class FoundCycles:
    """Cycles, how many components have one of each name, and the bounds that were reached:
    what these hid is not known."""

    cycles: list[Cycle] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    bounds: list[str] = field(default_factory=list)


def find_cycles(
    graph: Graph, wanted: Sequence[Collection[str]] = (), updates: Bools | None = None
) -> FoundCycles:
    """Named cycles, component by component. `wanted`: sets of names (of families with their
    level, and of SHAPES), of each of which one is sought in every component. `updates`: which
    transactions write (needed for UPDATE)."""
    inner = np.flatnonzero(graph.inner())
    return _Search(graph.keep(inner), wanted, updates).run() if len(inner) else FoundCycles()


class _Search:
    """The edges inside strong components, nodes and components numbered from 0."""

    def __init__(
        self, inner: Graph, wanted: Sequence[Collection[str]], updates: Bools | None
    ) -> None:
        self.whole = inner
        self.names, flat = np.unique([inner.source, inner.target], return_inverse=True)
        source, target = flat.reshape(2, -1)
        transactions = int(np.searchsorted(self.names, inner.transactions))
        nodes = len(self.names)
        labels = strong_components(nodes, source, target)[source]
        self.component = np.unique(labels, return_inverse=True)[1].reshape(-1)
        order = np.argsort(self.component, kind="stable")
        self.component = self.component[order]
        self.graph = Graph(nodes, transactions, source, target, inner.kind, inner.level).keep(order)
        many = int(self.component[-1]) + 1
        self.start = np.searchsorted(self.component, np.arange(many + 1))
        self.wanted = wanted
        self.satisfied = [np.zeros(many, np.bool_) for _ in wanted]
        self.strongest = np.full(many, len(FAMILIES))
        self.updates = updates[self.names[:transactions]] if updates is not None else None
        self.found = FoundCycles()

    def run(self) -> FoundCycles:
        """Levels from below, families from the strongest."""
        for level, suffix in enumerate(LEVELS):
            if level and not np.any(self.graph.level == level):
                continue
            for rank, family in enumerate(FAMILIES):
                self._look(family, level, family + suffix, rank)
        for shape in SHAPES:
            self._look(shape, 0, shape, len(FAMILIES))
        return self.found

    def _look(self, family: str, level: int, name: str, rank: int) -> None:
        """Report the cycles of one family that add something new."""
        asked = np.zeros(len(self.strongest), np.bool_)
        for names, satisfied in zip(self.wanted, self.satisfied, strict=True):
            if name in names:
                asked |= ~satisfied
        # shapes are sought only where they are wanted
        natural = self.strongest > rank if rank < len(FAMILIES) else np.zeros_like(asked)
        open_ = natural | asked
        if not open_.any():
            return
        edges = np.flatnonzero(open_[self.component])
        part = self.graph.keep(edges)
        closing = edges[_closing(part, family, level, self.component[edges], self.updates)]
        reported = np.unique(self.component[closing])
        hops: dict[int, list[Hop]] = {}
        if family == "G-nonadjacent":
            unsure = reported[~natural[reported]]
            hops, refuted = self._simple(unsure, closing, level, name)
            reported = np.setdiff1d(reported, refuted)
        self._report(reported, closing, hops, (family, level, name))
        self.strongest[reported] = np.minimum(self.strongest[reported], rank)
        for names, satisfied in zip(self.wanted, self.satisfied, strict=True):
            if name in names:
                satisfied[reported] = True

    def _report(
        self,
        components: Ints,
        closing: Ints,
        known: dict[int, list[Hop]],
        what: tuple[str, int, str],
    ) -> None:
        family, level, name = what
        size = np.diff(self.start)[components]
        for c in components[np.argsort(size, kind="stable")][:NAMED].tolist():
            hops = known[c] if c in known else self._example(c, closing, family, level)
            named = [(self._original(a), kind, self._original(b)) for a, kind, b in hops]
            shown = tuple(between_transactions(named, self.whole.transactions))
            shape = name if family in SHAPES else ""
            cycle = Cycle(family_of(shown) if shape else name, shown, shape)
            self.found.cycles.append(cycle)
            self.found.counts[cycle.name] += 1
        self.found.counts[name.partition("/")[0]] += max(0, len(components) - NAMED)

    def _original(self, node: int) -> int:
        return self.whole.original(int(self.names[node]))

    def _example(self, c: int, closing: Ints, family: str, level: int) -> list[Hop]:
        """A short cycle of a component, closed by one of these edges."""
        first, last = int(self.start[c]), int(self.start[c + 1])
        part = self.graph.keep(np.arange(first, last))
        near = closing[(closing >= first) & (closing < last)] - first
        if family in ("G-nonadjacent", PREFIX):
            walk = shortest_doubled(part, level, family, near)
            return walk if family == PREFIX else simple(walk, part.transactions) or walk
        paths = _paths(part, family, level, self.updates)
        return shortest(paths, part, near)

    def _simple(
        self, components: Ints, closing: Ints, level: int, name: str
    ) -> tuple[dict[int, list[Hop]], Ints]:
        """Of components that hold a G1c too: cycles that pass no transaction twice, and which
        components have none (or none was found, which is noted)."""
        hops, refuted = {}, []
        for c in components.tolist():
            walk = self._example(c, closing, "G-nonadjacent", level)
            found = simple(walk, self.graph.transactions)
            if not found:
                part = self.graph.keep(np.arange(self.start[c], self.start[c + 1]))
                found, whole = simple_walk(part.only((*_DATA, RW), level), SIMPLE_STEPS)
                if not whole:
                    self.found.bounds.append(
                        f"the search for a {name} ended after SIMPLE_STEPS ({SIMPLE_STEPS}) steps"
                    )
            if found:
                hops[c] = found
            else:
                refuted.append(c)
        return hops, np.array(refuted, np.int64)


def _within(kinds: tuple[int, ...], graph: Graph, level: int) -> Ints:
    """The edges of these kinds up to this level."""
    return np.flatnonzero(np.isin(graph.kind, kinds) & (graph.level <= level))


def _base(family: str) -> tuple[int, ...]:
    """The kinds of which the path of a family's cycle consists, beside its closing edge."""
    if family == "G0":
        return (WW, PROCESS, REALTIME, GLUE)
    if family == CAUSAL:
        return (WR, GLUE)
    return (*_DATA, RW) if family in ("G2-item", UPDATE) else _DATA


def _paths(graph: Graph, family: str, level: int, updates: Bools | None) -> Graph:
    if family == UPDATE:
        return graph.keep(_updating(graph, level, updates))
    return graph.keep(_within(_base(family), graph, level))


def _updating(graph: Graph, level: int, updates: Bools | None) -> Ints:
    """Data edges, without the rw edges of transactions that only read."""
    edges = _within((WW, WR, RW, GLUE), graph, level)
    assert updates is not None
    read_only = graph.kind[edges] == RW
    read_only[read_only] = ~updates[graph.source[edges[read_only]]]
    kept: Ints = edges[~read_only]
    return kept


def _closing(graph: Graph, family: str, level: int, component: Ints, updates: Bools | None) -> Ints:
    """Edges that close a cycle of the family: of every component that has one, at least one."""
    if family in ("G-nonadjacent", PREFIX):
        twice, edge = doubled(graph, level, family == PREFIX)
        return np.unique(edge[twice.inner() & (twice.kind == RW)])
    rw = _within((LATER,) if family == CAUSAL else (RW,), graph, level)
    if family in ("G-single", CAUSAL):
        return rw[_returns(graph.keep(_within(_base(family), graph, level)), graph, rw, component)]
    if family == UPDATE:
        among = _updating(graph, level, updates)
        base = graph.keep(among)
        cyclic = among[base.inner() & (base.kind == RW)]
        single = np.setdiff1d(rw, among)
        return np.union1d(cyclic, single[_returns(base, graph, single, component)])
    edges = _within(_base(family), graph, level)
    part = graph.keep(edges)
    closes = part.kind == RW if family == "G2-item" else part.kind != GLUE
    closing: Ints = edges[part.inner() & closes]
    return closing


def _returns(base: Graph, graph: Graph, edges: Ints, component: Ints) -> Bools:
    """Which of these edges end where a path of `base` leads back to their beginning; at least
    one of each component that has any."""
    return reachable(
        graph.nodes,
        base.source,
        base.target,
        graph.target[edges],
        graph.source[edges],
        component[edges],
    )


def shortest_doubled(graph: Graph, level: int, family: str, closing: Ints) -> list[Hop]:
    """As `shortest`, in the doubled graph."""
    twice, edge = doubled(graph, level, family == PREFIX)
    near = np.flatnonzero(np.isin(edge, closing) & (twice.kind == RW) & twice.inner())
    n = graph.nodes
    return [(a % n, kind, b % n) for a, kind, b in shortest(twice, twice, near)]
