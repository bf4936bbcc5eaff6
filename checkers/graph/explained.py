"""The graph of an anomaly, as networkx holds it.

Components are found on integer arrays (`reach`), which hold millions of edges. The component
that is explained is a networkx graph: its shortest cycle is the proof, and what leads to an
operation is its causal past. The graph of a proof has operations as nodes; its edges have the
kind of the dependency and the reason for it.

A component of more than WHOLE edges is first cut down, on arrays, to the operations of one
shortest cycle. networkx is imported with the first graph, so that a history without a cycle
does not pay for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from dynamesis.checkers.graph.cycles import KINDS, Cycle, Graph, Step

if TYPE_CHECKING:
    from networkx import DiGraph, MultiDiGraph
    from scipy.sparse import csr_array

#: edges up to which a component becomes a graph as a whole
WHOLE = 1_000

#: an edge as it is in the graph: from, kind, to
Hop = tuple[int, int, int]


@dataclass(frozen=True, eq=False)
class Explained:
    """A cycle and its reasons. `graph`: operations are nodes; each edge has `kind` (of KINDS)
    and `why` (text), and the number of its kind as key."""

    steps: tuple[Step, ...]
    graph: MultiDiGraph

    @classmethod
    def of(cls, cycle: Cycle, why: Callable[[Step], str]) -> Explained:
        """The graph of a cycle, each step with its reason."""
        from networkx import MultiDiGraph

        graph = MultiDiGraph(name=cycle.name)
        for step in cycle.steps:
            graph.add_edge(step.a, step.b, step.kind, kind=KINDS[step.kind], why=why(step))
        return cls(cycle.steps, graph)

    def reasons(self) -> Iterator[tuple[Step, str]]:
        """The steps of the cycle in order, each with its reason."""
        for step in self.steps:
            yield step, str(self.graph.edges[step.a, step.b, step.kind]["why"])


def component(graph: Graph) -> DiGraph:
    """The edges as a networkx graph. `kind` of an edge is the strongest of its kinds; the edges
    of a node are in order of their targets."""
    order = np.lexsort((graph.kind, graph.target, graph.source))
    columns = (graph.source[order], graph.kind[order], graph.target[order])
    return graph_of(zip(*(c.tolist() for c in columns), strict=True))


def graph_of(hops: Iterable[Hop], label: str = "kind") -> DiGraph:
    """A networkx graph of edges (from, label, to), each with its label under this name; of
    several between the same two nodes the first counts."""
    from networkx import DiGraph

    made = DiGraph()
    for a, number, b in hops:
        if not made.has_edge(a, b):
            made.add_edge(a, b, **{label: number})
    return made


def past(graph: DiGraph, operation: int) -> DiGraph:
    """The causal past of an operation: what leads to it, and itself."""
    from networkx import ancestors

    return graph.subgraph({operation, *ancestors(graph, operation)})


def shortest_cycle(paths: Graph, closing: Sequence[Hop]) -> list[Hop]:
    """The shortest cycle of one of the `closing` edges and a path in `paths`, the first of them
    where several are as short; empty if no path leads back. The closing edge comes last."""
    if len(paths.source) > WHOLE:
        paths, closing = _cut_down(paths, closing)
    graph = component(paths)
    best: list[int] = []
    closed = 0
    for a, kind, b in closing:
        found = shortest_path(graph, b, a, len(best))
        if found:
            best, closed = found, kind
        if len(best) == 2:
            break
    if not best:
        return []
    inner = [(a, int(graph.edges[a, b]["kind"]), b) for a, b in pairwise(best)]
    return [*inner, (best[-1], closed, best[0])]


def shortest_path(graph: DiGraph, start: int, goal: int, below: int = 0) -> list[int]:
    """The nodes of a shortest path, if they are fewer than `below` (0: however many); empty if
    there is none."""
    from networkx import bfs_predecessors

    if start not in graph or goal not in graph:
        return []
    before = dict(bfs_predecessors(graph, start, below - 2 if below else None))
    return _back(before.get, start, goal)


def _cut_down(paths: Graph, closing: Sequence[Hop]) -> tuple[Graph, Sequence[Hop]]:
    """The operations of a shortest cycle with all edges between them, and the edge that closes
    it. A shortest path has no short cut, so that its cycle is the shortest of what is left."""
    matrix = paths.matrix()
    best: list[int] = []
    last: list[Hop] = []
    for hop in closing:
        found = _array_path(matrix, hop[2], hop[0])
        if found and (not best or len(found) < len(best)):
            best, last = found, [hop]
        if len(best) == 2:
            break
    on_path = np.zeros(paths.nodes, np.bool_)
    on_path[best] = True
    return paths.keep(on_path[paths.source] & on_path[paths.target]), last


def _array_path(matrix: csr_array, start: int, goal: int) -> list[int]:
    from scipy.sparse.csgraph import breadth_first_order  # slow to import, so only here

    before = breadth_first_order(matrix, start)[1]

    def previous(node: int) -> int | None:
        found = int(before[node])
        return found if found >= 0 else None

    return _back(previous, start, goal)


def _back(previous: Callable[[int], int | None], start: int, goal: int) -> list[int]:
    """The path from `start` to `goal`, followed backwards; empty if none leads back."""
    path = [goal]
    while path[-1] != start:
        node = previous(path[-1])
        if node is None:
            return []
        path.append(node)
    return path[::-1]
