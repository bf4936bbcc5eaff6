"""The neighbours that workload broadcast offers to each node: Maelstrom's --topology.

A topology maps each node to the nodes that it may pass messages to; all of them are connected.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from math import ceil, sqrt

Nodes = Sequence[str]
Topology = dict[str, list[str]]


def total(nodes: Nodes) -> Topology:
    """Every node has every other."""
    return {node: [other for other in nodes if other != node] for node in nodes}


def grid(nodes: Nodes) -> Topology:
    """Rows of the square root's length; neighbours are left, right, above and below."""
    width = ceil(sqrt(len(nodes)))
    return _of(nodes, lambda i, j: (j - i == 1 and j % width != 0) or j - i == width)


def line(nodes: Nodes) -> Topology:
    """One after the other."""
    return _of(nodes, lambda i, j: j - i == 1)


def tree(branches: int, nodes: Nodes) -> Topology:
    """Each node has so many children, in the order of the nodes."""
    return _of(nodes, lambda i, j: (j - 1) // branches == i)


def _of(nodes: Nodes, joined: Callable[[int, int], bool]) -> Topology:
    """Every pair of places i < j that is `joined`, both ways."""
    found: Topology = {node: [] for node in nodes}
    for j, later in enumerate(nodes):
        for i, earlier in enumerate(nodes[:j]):
            if joined(i, j):
                found[earlier].append(later)
                found[later].append(earlier)
    return found


TOPOLOGIES: dict[str, Callable[[Nodes], Topology]] = {
    "grid": grid,
    "line": line,
    "total": total,
    **{f"tree{branches}": partial(tree, branches) for branches in (2, 3, 4)},
}
