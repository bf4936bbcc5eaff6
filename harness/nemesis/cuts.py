"""The shapes of a cut, and the links that it breaks.

A grudge lists the nodes that do not reach each other. Written as a list of groups it is
complete: no node reaches one of another group. Written as a dict it maps each node to the nodes
that do not reach it, which also makes cuts that overlap or go one way. After Jepsen's
nemesis.clj, which also gave the names.
"""

from __future__ import annotations

from dynamesis.harness.generators.rng import Rng
from dynamesis.harness.links.base import route_name
from dynamesis.harness.links.faults import BlackHole, LinkFault, RefusedLink, Reset

Nodes = tuple[str, ...]
Grudge = list[list[str]] | dict[str, list[str]]

#: The kinds of cut, and what each does to a link that is cut both ways.
KINDS: dict[str, LinkFault] = {
    "refused": RefusedLink(),
    "black-hole": BlackHole(),
    "reset": Reset(),
}


def halves(nodes: Nodes, rng: Rng) -> tuple[Grudge, Rng]:
    """The first half against the rest, in the order of the nodes."""
    middle = len(nodes) // 2
    return [list(nodes[:middle]), list(nodes[middle:])], rng


def random_halves(nodes: Nodes, rng: Rng) -> tuple[Grudge, Rng]:
    """A random minority against the rest."""
    mixed, rng = rng.shuffle(nodes)
    middle = len(nodes) // 2
    return [sorted(mixed[:middle]), sorted(mixed[middle:])], rng


def one(nodes: Nodes, rng: Rng) -> tuple[Grudge, Rng]:
    """One node against the rest."""
    lonely, rng = rng.choice(nodes)
    return [[lonely], [node for node in nodes if node != lonely]], rng


def minority_third(nodes: Nodes, rng: Rng) -> tuple[Grudge, Rng]:
    """A third, but less than half, against the rest."""
    mixed, rng = rng.shuffle(nodes)
    third = max(1, min(len(nodes) // 3, (len(nodes) - 1) // 2))
    return [sorted(mixed[:third]), sorted(mixed[third:])], rng


def bridge(nodes: Nodes, rng: Rng) -> tuple[Grudge, Rng]:
    """Two halves that reach each other only through one node, which reaches all."""
    mixed, rng = rng.shuffle(nodes)
    middle = len(nodes) // 2
    left, right = mixed[:middle], mixed[middle + 1 :]
    deaf = {node: sorted(right) for node in left} | {node: sorted(left) for node in right}
    return {node: deaf[node] for node in sorted(deaf)}, rng


def majorities_ring(nodes: Nodes, rng: Rng) -> tuple[Grudge, Rng]:
    """Every node reaches a majority, and no two the same one (from 4 nodes on)."""
    ring, rng = rng.shuffle(nodes)
    size, reach = len(ring), (len(ring) // 2 + 1) // 2
    deaf: dict[str, list[str]] = {}
    for i, node in enumerate(ring):
        reached = {ring[(i + step) % size] for step in range(-reach, reach + 1)}
        deaf[node] = sorted(set(ring) - reached)
    return {node: deaf[node] for node in sorted(deaf)}, rng


def one_way(nodes: Nodes, rng: Rng) -> tuple[Grudge, Rng]:
    """One half does not receive what the other sends, and reaches it."""
    mixed, rng = rng.shuffle(nodes)
    middle = len(nodes) // 2
    return {node: sorted(mixed[middle:]) for node in sorted(mixed[:middle])}, rng


def unreached(grudge: Grudge) -> set[tuple[str, str]]:
    """Every pair (a, b) such that nothing that a sends reaches b."""
    if isinstance(grudge, dict):
        return {(a, b) for b, silent in grudge.items() for a in silent}
    return {
        (a, b)
        for i, group in enumerate(grudge)
        for other in grudge[:i] + grudge[i + 1 :]
        for a in group
        for b in other
    }


def route_faults(kind: str, grudge: Grudge) -> dict[str, LinkFault]:
    """What each route suffers. The route from a to b carries a's requests upstream, and
    b's replies downstream: to silence a towards b takes both routes between them."""
    silent = unreached(grudge)
    faults: dict[str, LinkFault] = {}
    for a, b in sorted(silent):
        if (b, a) in silent:
            faults[route_name(a, b)] = KINDS[kind]
        else:
            faults[route_name(a, b)] = BlackHole("upstream")
            faults[route_name(b, a)] = BlackHole("downstream")
    return faults
