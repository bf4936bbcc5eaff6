"""One cycle of a known kind, as a walk along edges: short, and free of detours."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from dynamesis.checkers.graph.cycles import (
    GLUE,
    LATER,
    PROCESS,
    REALTIME,
    RW,
    WR,
    WW,
    Graph,
    Step,
)
from dynamesis.checkers.graph.explained import Hop, shortest_cycle
from dynamesis.checkers.history.pairing import Ints

#: edges through which a shortest cycle is sought; one more might show a shorter proof
TRIES = 64
#: edges walked for that, by and large
WALKED = 20_000_000

_ANTI = (RW, LATER)


def shortest(paths: Graph, graph: Graph, edges: Ints) -> list[Hop]:
    """The shortest cycle closed by one of some of these edges of `graph` and a path in `paths`;
    empty if no path leads back."""
    affordable = min(TRIES, max(2, WALKED // (1 + len(paths.source))))
    tried = edges[:affordable]
    columns = (graph.source[tried], graph.kind[tried], graph.target[tried])
    return shortest_cycle(paths, [*zip(*(c.tolist() for c in columns), strict=True)])


def doubled(graph: Graph, level: int, after_wr: bool) -> tuple[Graph, Ints]:
    """Each node twice, by whether an rw edge may leave it: not right after another rw edge, or
    only right after a wr edge. With it, by edge: the edge of `graph` that it represents."""
    data = (WW, WR, RW, GLUE) if after_wr else (WW, WR, PROCESS, REALTIME, GLUE, RW)
    edges = np.flatnonzero(np.isin(graph.kind, data) & (graph.level <= level))
    kind, n = graph.kind[edges], graph.nodes
    rw, glue = kind == RW, kind == GLUE
    # the first copy is left by every edge, the second by all but rw
    bound = (kind != WR) & ~glue if after_wr else rw
    target = graph.target[edges]
    from_first = np.where(bound | (glue & after_wr), target + n, target)
    from_second = np.where(bound | glue, target + n, target)
    return (
        Graph(
            2 * n,
            graph.transactions,
            np.concatenate([graph.source[edges], graph.source[edges][~rw] + n]),
            np.concatenate([from_first, from_second[~rw]]),
            np.concatenate([kind, kind[~rw]]),
            np.concatenate([graph.level[edges], graph.level[edges][~rw]]),
        ),
        np.concatenate([edges, edges[~rw]]),
    )


def between_transactions(hops: list[Hop], transactions: int) -> list[Step]:
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


def family_of(steps: tuple[Step, ...]) -> str:
    """The name of a cycle by its edges, without its level."""
    anti = [step.kind in _ANTI for step in steps]
    if sum(anti) == 1:
        return "G-single"
    if any(anti):
        adjacent = any(a and b for a, b in pairwise([*anti, anti[0]]))
        return "G2-item" if adjacent else "G-nonadjacent"
    return "G1c" if any(step.kind == WR for step in steps) else "G0"


def simple(walk: list[Hop], transactions: int) -> list[Hop]:
    """A G-nonadjacent within a closed walk that may pass transactions twice; empty if cutting
    it where it does so gives none."""
    hops = [(step.a, step.kind, step.b) for step in between_transactions(walk, transactions)]
    seen: dict[int, int] = {}
    for at, (a, _, _) in enumerate(hops):
        if a in seen:
            parts = hops[seen[a] : at], hops[at:] + hops[: seen[a]]
            return next((found for part in parts if (found := simple(part, transactions))), [])
        seen[a] = at
    steps = tuple(Step(*hop) for hop in hops)
    return hops if family_of(steps) == "G-nonadjacent" else []


def simple_walk(graph: Graph, budget: int) -> tuple[list[Hop], bool]:
    """A G-nonadjacent that passes no transaction twice, by trying all paths; and whether the
    answer is final: False where the budget of steps ran out."""
    edges = _direct(graph)
    left = budget
    for first in sorted(edges):
        path: list[Hop] = []
        visited = {first}
        stack = [iter(edges[first])]
        while stack:
            left -= 1
            if left < 0:
                return [], False
            hop = next(stack[-1], None)
            if hop is None:
                stack.pop()
                if path:
                    visited.discard(path.pop()[2])
                continue
            _, kind, b = hop
            if path and kind == path[-1][1] == RW:
                continue
            if b == first:
                steps = tuple(Step(*each) for each in [*path, hop])
                if family_of(steps) == "G-nonadjacent":
                    return [*path, hop], True
            elif b > first and b not in visited:
                visited.add(b)
                path.append(hop)
                stack.append(iter(edges.get(b, ())))
    return [], True


def _direct(graph: Graph) -> dict[int, list[Hop]]:
    """Edges between transactions, joints resolved, as seen from each transaction."""
    onward: dict[int, list[tuple[int, int]]] = {}
    for a, kind, b in zip(
        *(c.tolist() for c in (graph.source, graph.kind, graph.target)), strict=True
    ):
        onward.setdefault(a, []).append((kind, b))
    found: dict[int, list[Hop]] = {}
    for a in range(graph.transactions):
        hops: set[Hop] = set()
        for kind, b in onward.get(a, ()):
            waiting, seen = [b], {b}
            while waiting:
                node = waiting.pop()
                if node < graph.transactions:
                    hops.add((a, kind, node))
                    continue
                for _, next_ in onward.get(node, ()):
                    if next_ not in seen:
                        seen.add(next_)
                        waiting.append(next_)
        if hops:
            found[a] = sorted(h for h in hops if h[2] != a)
    return found
