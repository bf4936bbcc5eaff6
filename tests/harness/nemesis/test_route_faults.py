"""Overlapping faults on the same links, in any order: after each step, every route
suffers the strongest of what is laid on it, and nothing else is touched."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping

from dynamesis.harness.links.faults import BlackHole, Latency, LinkFault, RefusedLink, strongest
from dynamesis.harness.nemesis.network import RouteFaults
from hypothesis import given
from hypothesis import strategies as st

ROUTES = ("n1-n2", "n2-n1", "n1-n3")
FAULTS = (RefusedLink(), BlackHole(), BlackHole("upstream"), Latency(latency_ms=5))


class Board:
    """Links that only remember: what each route suffers, and which were touched."""

    def __init__(self) -> None:
        self.suffered: dict[str, LinkFault] = {}
        self.touched: list[str] = []

    async def apply(self, faults: Mapping[str, LinkFault]) -> None:
        self.suffered |= faults
        self.touched += faults

    async def heal(self, names: Iterable[str] | None = None) -> None:
        for name in list(self.suffered if names is None else names):
            self.suffered.pop(name, None)
            self.touched.append(name)


steps = st.lists(
    st.tuples(
        st.integers(0, 3),
        st.dictionaries(st.sampled_from(ROUTES), st.sampled_from(FAULTS), min_size=1),
    ),
    max_size=20,
)


@given(steps)
def test_each_route_suffers_the_strongest_of_what_is_laid_on_it(
    steps: list[tuple[int, dict[str, LinkFault]]],
) -> None:
    async def scenario() -> None:
        board = Board()
        wires = RouteFaults(board)  # type: ignore[arg-type]
        laid: dict[int, dict[str, LinkFault]] = {}
        for fault, routes in steps:
            before, board.touched = dict(board.suffered), []
            if fault in laid:
                del laid[fault]
                await wires.lift(fault)
            else:
                laid[fault] = routes
                await wires.lay(fault, routes)
            by_route = {
                name: [routes[name] for routes in laid.values() if name in routes]
                for name in ROUTES
            }
            expected = {name: strongest(faults) for name, faults in by_route.items() if faults}
            assert board.suffered == expected
            changed = {name for name in ROUTES if before.get(name) != expected.get(name)}
            assert set(board.touched) == changed
        await wires.heal_all()
        assert board.suffered == {}

    asyncio.run(scenario())
