"""The cases of `dynamesis bench node`: what is asked of both, and of how many nodes."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import Literal

from dynamesis.harness.bench.load import Op

Storage = Literal["memory", "lmdb"]
LinksName = Literal["direct", "toxiproxy"]

OPS: tuple[Op, ...] = ("put", "get")
STORAGES: tuple[Storage, ...] = ("memory", "lmdb")
IN_FLIGHT = (1, 16, 64, 256)
SIZES = (100, 10 << 10, 1 << 20)
NODES = (3, 5, 9)
LINKS: tuple[LinksName, ...] = ("direct", "toxiproxy")
#: values of one case under way at the same time, bytes: the node refuses more
_UNDER_WAY = 16 << 20


@dataclass(frozen=True, order=True)
class Setup:
    """What both systems are booted as."""

    nodes: int
    storage: Storage
    links: LinksName


@dataclass(frozen=True)
class NodeCase:
    setup: Setup
    op: Op
    in_flight: int
    size: int

    @property
    def name(self) -> str:
        """As `--only` takes it: put-memory-64-100-5-direct."""
        s = self.setup
        return f"{self.op}-{s.storage}-{self.in_flight}-{self.size}-{s.nodes}-{s.links}"


def all_cases() -> list[NodeCase]:
    """Every combination but those whose values under way are more than a node takes."""
    return [
        NodeCase(Setup(nodes, storage, links), op, in_flight, size)
        for links, nodes, storage, size, in_flight, op in product(
            LINKS, NODES, STORAGES, SIZES, IN_FLIGHT, OPS
        )
        if in_flight * size <= _UNDER_WAY
    ]


def default_cases() -> list[NodeCase]:
    """Five nodes, direct: every number in flight at 100 B, and large values."""
    few = {(1 << 20, 16), (10 << 10, 64), (1 << 20, 1)}
    return [
        case
        for case in all_cases()
        if case.setup.nodes == 5
        and case.setup.links == "direct"
        and (
            case.size == 100
            or (case.setup.storage == "memory" and (case.size, case.in_flight) in few)
        )
    ]


def chosen(cases: list[NodeCase], only: list[str]) -> list[NodeCase]:
    """The cases that one of `only` names. Raises ValueError for one that names none.

    Each is words by "-", all of which a case's name has, in this order: `put-64-100` are puts of
    100 bytes with 64 in flight, on any storage, number of nodes and links."""
    for text in only:
        if not any(_matches(case, text) for case in cases):
            names = f"{OPS} {STORAGES} {IN_FLIGHT} {SIZES} {NODES} {LINKS}"
            shown = names.replace("'", "").replace(",", "")
            raise ValueError(f"{text!r} names no case; one is words by '-' out of {shown}")
    return [case for case in cases if any(_matches(case, text) for text in only)]


def _matches(case: NodeCase, text: str) -> bool:
    words = iter(case.name.split("-"))
    return all(word in words for word in text.strip().split("-"))
