"""Which of many pairs of nodes are joined by a path, exactly and without a bound.

Strong components are contracted first; what is left has a topological order. A path from a to
b runs within the stretch of that order between the two, so pairs are asked in blocks of like
length that lie side by side, each block in one sweep over its own stretch, with the sources
that lead to a node as the bits of one integer. Numbered by time, most pairs of a history span
little, and the whole is near-linear; the worst case is edges times pairs / 4096.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from dynamesis.checkers.history.pairing import Bools, Ints

#: sources that one sweep carries
_BITS = 4096


def strong_components(nodes: int, source: Ints, target: Ints) -> Ints:
    """By node: the number of its strong component. Components are numbered from sinks to
    sources, and of those that no path joins, the one of the higher nodes first."""
    labels: Ints = _labels(nodes, nodes - 1 - source, nodes - 1 - target, "strong")[::-1]
    if np.any(labels[source] < labels[target]):
        raise AssertionError("strong components are not numbered from sinks to sources")
    return labels


def _labels(nodes: int, source: Ints, target: Ints, connection: str) -> Ints:
    from scipy.sparse import csr_array  # slow to import, so only where it is used
    from scipy.sparse.csgraph import connected_components

    shape = (nodes, nodes)
    matrix = csr_array((np.ones(len(source), np.int8), (source, target)), shape=shape)
    # of the type that the search asks for, or it would make a copy of everything; it looks at the
    # places of edges, so that one number in memory does for all
    alike = np.broadcast_to(np.float64(1.0), matrix.indices.shape)
    matrix = csr_array((alike, matrix.indices, matrix.indptr), shape=shape)
    labels: Ints = connected_components(matrix, directed=True, connection=connection)[1]
    return labels


def topological(nodes: int, source: Ints, target: Ints) -> Ints:
    """By node of a graph without cycles: its place in an order along all edges, near the order
    of numbers."""
    labels = strong_components(nodes, source, target)
    place: Ints = labels.max(initial=0) - labels
    return place


def reachable(
    nodes: int, source: Ints, target: Ints, start: Ints, goal: Ints, group: Ints | None = None
) -> Bools:
    """By pair: whether a path leads from its start to its goal. With groups (small numbers),
    of each group that has joined pairs at least one is found, and perhaps not all."""
    labels = strong_components(nodes, source, target)
    found: Bools = labels[start] == labels[goal]
    weak = _labels(nodes, source, target, "weak")
    place = labels.max(initial=0) - labels
    open_ = ~found & (weak[start] == weak[goal]) & (place[start] < place[goal])
    if not open_.any():
        return found
    sweep = _Sweep(place, source, target)
    done = np.zeros(0 if group is None else int(group.max(initial=-1)) + 1, np.bool_)
    if group is not None:
        done[group[found]] = True
    for pairs in _blocks(place[start], place[goal], np.flatnonzero(open_)):
        if group is not None:
            pairs = pairs[~done[group[pairs]]]
        if len(pairs):
            found[pairs] = sweep(place[start[pairs]], place[goal[pairs]])
            if group is not None:
                done[group[pairs[found[pairs]]]] = True
    return found


def _blocks(start: Ints, goal: Ints, pairs: Ints) -> Iterator[Ints]:
    """The pairs, those of like length that lie side by side together, the short ones first."""
    length = np.log2(goal[pairs] - start[pairs]).astype(np.int64)
    # a block spans at most four times the length of its pairs
    tile = start[pairs] >> (length + 2)
    order = np.lexsort((start[pairs], tile, length))
    pairs, length, tile = pairs[order], length[order], tile[order]
    fresh = np.ones(len(pairs), np.bool_)
    fresh[1:] = np.diff(start[pairs]) != 0
    cut = (np.diff(length) != 0) | (np.diff(tile) != 0)
    for part in np.split(np.arange(len(pairs)), np.flatnonzero(cut) + 1):
        number = np.cumsum(fresh[part]) // _BITS
        for few in np.split(part, np.flatnonzero(np.diff(number)) + 1):
            yield pairs[few]


class _Sweep:
    """Edges by place in the topological order, each once, none within a place."""

    def __init__(self, place: Ints, source: Ints, target: Ints) -> None:
        low, high = place[source].astype(np.int64), place[target].astype(np.int64)
        span = int(place.max(initial=0)) + 1
        code = np.unique((low * span + high)[low != high])
        self._target = (code % span).tolist()
        self._start = np.searchsorted(code // span, np.arange(span + 1)).tolist()

    def __call__(self, start: Ints, goal: Ints) -> list[bool]:
        """By pair of places: is there a path?"""
        starts, bit = np.unique(start, return_inverse=True)
        coming = {s: 1 << i for i, s in enumerate(starts.tolist())}
        wanted = dict.fromkeys(goal.tolist(), 0)
        last = max(wanted)
        for at in range(min(coming), last + 1):
            bits = coming.pop(at, 0)
            if not bits:
                continue
            if at in wanted:
                wanted[at] = bits
            for next_ in self._target[self._start[at] : self._start[at + 1]]:
                if next_ <= last:
                    coming[next_] = coming.get(next_, 0) | bits
        return [bool(wanted[g] >> b & 1) for g, b in zip(goal.tolist(), bit.tolist(), strict=True)]
