"""Is there an order of all of a register's versions that the model allows?

Where inference leaves versions of a key unordered, that no anomaly was found does not say
that there is none: each way to order them might show one. So an order is made up: transactions
are laid in a line along all that is known, versions in the order of their writers, and the
history is searched again, with all versions ordered so. If nothing illegal shows, the history
is valid beyond doubt. If something does, readers that stand behind the next version are put
before it (or, where that cannot be, that version before theirs), and it is tried again, a few
times. To find such an order is NP-hard in general (Papadimitriou, 1979), so that where this
fails the verdict is unknown.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np

from .causality import NEVER
from .cycle_search import CAUSAL, find_cycles
from .cycles import Edges
from .pairing import Bools, Ints
from .reach import strong_components, topological
from .rw_register import Registers, add_edges, add_later
from .txn import Txns
from .txn_orders import add_orders, updates
from .version_order import Order

#: orders that are tried
TRIED = 12


def _final(registers: Registers) -> Bools:
    """By version: was it written, and has it a place in the order?"""
    final = registers.final.copy()
    final[len(registers.mops) :] = False
    return final


def unordered(registers: Registers, order: Order) -> Ints:
    """Keys of which a written version was read, and two were written, but no two written
    versions are ordered."""
    many = len(registers.txns.keys)
    final, key_of = _final(registers), registers.key_of
    written = np.bincount(key_of[final], minlength=many)
    ordered = np.zeros(many, np.bool_)
    ordered[key_of[order.lower[final[order.lower] & final[order.upper]]]] = True
    read = np.zeros(many, np.bool_)
    seen = registers.visits.read
    read[key_of[seen[(seen >= 0) & (seen < len(registers.mops))]]] = True
    return np.flatnonzero((written > 1) & read & ~ordered)


def witness_fails(
    registers: Registers,
    order: Order,
    wanted: Sequence[Collection[str]],
    illegal: Collection[str],
) -> Ints:
    """Keys that are ordered in part, where no order of all versions was found that shows nothing
    illegal; none if there is one (or nothing is left to be ordered)."""
    chain = _chain(registers, order, np.arange(len(registers.txns)))
    known = np.isin(_codes(registers, chain), _codes(registers, order))
    loose = np.unique(registers.key_of[chain.upper[~known]])
    if not len(loose):
        return loose
    known_edges = _edges(registers, order, wanted, illegal)
    choices = _Choices(registers.txns, known_edges)
    for _ in range(TRIED):
        chain = _chain(registers, order, choices.places())
        edges = _edges(registers, chain, wanted, illegal)
        found = find_cycles(edges.graph(), wanted, updates(registers.txns))
        if not found.bounds and not any(c.judged_as in illegal for c in found.cycles):
            return np.empty(0, np.int64)
        if not choices.revise(registers, chain):
            break
    return loose


def _codes(registers: Registers, order: Order) -> Ints:
    codes: Ints = order.lower.astype(np.int64) * registers.count + order.upper
    return codes


def _edges(
    registers: Registers, order: Order, wanted: Sequence[Collection[str]], illegal: Collection[str]
) -> Edges:
    """What this order of versions makes of the history."""
    edges = Edges(len(registers.txns))
    add_edges(edges, registers, order)
    add_orders(edges, registers.txns, illegal)
    if any(CAUSAL in names for names in wanted):
        add_later(edges, registers, order)
    return edges


def _chain(registers: Registers, order: Order, places: Ints) -> Order:
    """All versions of each key in one line along the order, else by the places of their
    writers; nil first."""
    final = registers.final.copy()
    nil = np.arange(registers.count) >= len(registers.mops)
    place = np.where(nil, -1, places[np.maximum(registers.writer, 0)])
    by_place = np.argsort(place, kind="stable")
    number = np.empty(registers.count, np.int64)
    number[by_place] = np.arange(registers.count)
    rank = topological(registers.count, number[order.lower], number[order.upper])[number]
    versions = np.flatnonzero(final)
    versions = versions[np.lexsort((rank[versions], ~nil[versions], registers.key_of[versions]))]
    next_ = np.flatnonzero(np.diff(registers.key_of[versions]) == 0)
    lower, upper = versions[next_], versions[next_ + 1]
    none = np.zeros(len(lower), np.int64)
    return Order(lower, upper, none, none, none.astype(np.int8), none.astype(np.int8))


@dataclass
class _Choices:
    """Edges between transactions that are not known, but tried."""

    txns: Txns
    known: Edges

    def __post_init__(self) -> None:
        self._source = np.empty(0, np.int64)
        self._target = np.empty(0, np.int64)
        graph = self.known.graph()
        self._graph = graph
        # nodes by when they end, so that what is not bound otherwise stays in that order
        ended = np.where(self.txns.ended == NEVER, self.txns.row, self.txns.ended)
        self._number = np.empty(graph.nodes, np.int64)
        order = np.argsort(np.append(ended, self._joint_times(graph.nodes)), kind="stable")
        self._number[order] = np.arange(graph.nodes)

    def _joint_times(self, nodes: int) -> Ints:
        return np.full(nodes - len(self.txns), np.iinfo(np.int64).max)

    def places(self) -> Ints:
        """By transaction: its place in a line along what is known and what is tried."""
        graph, number = self._graph, self._number
        source = np.concatenate([graph.source, self._source])
        target = np.concatenate([graph.target, self._target])
        labels = strong_components(graph.nodes, number[source], number[target])[number]
        place = labels.max(initial=0) - labels
        order = np.lexsort((number, place))
        found = np.empty(graph.nodes, np.int64)
        found[order] = np.arange(graph.nodes)
        self._place = found
        return found[: len(self.txns)]

    def revise(self, registers: Registers, chain: Order) -> bool:
        """Try readers before the version that follows theirs, and where that closes a cycle of
        what is known and tried, that version before theirs. False where nothing changes."""
        readers = registers.visits.those(registers.visits.read >= 0)
        after = np.full(registers.count, -1, np.int64)
        after[chain.lower] = chain.upper
        following = after[readers.read]
        there = following >= 0
        reader, read, following = readers.txn[there], readers.read[there], following[there]
        writer = registers.writer[following]
        late = (writer != reader) & (self._place[writer] < self._place[reader])
        tried = np.concatenate([self._source, reader[late]])
        onto = np.concatenate([self._target, writer[late]])
        source = np.concatenate([self._graph.source, tried])
        target = np.concatenate([self._graph.target, onto])
        labels = strong_components(self._graph.nodes, source, target)
        closes = labels[tried] == labels[onto]
        back = closes[len(self._source) :]
        own = registers.writer[read[late][back]]
        turn = own >= 0
        before = (self._source, self._target)
        self._source = np.concatenate([tried[~closes], writer[late][back][turn]])
        self._target = np.concatenate([onto[~closes], own[turn]])
        same = len(before[0]) == len(self._source)
        return not (
            same and bool(np.all(before[0] == self._source) and np.all(before[1] == self._target))
        )
