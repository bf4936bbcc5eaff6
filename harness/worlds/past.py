"""Whether nodes dial each other past the proxies of their links, where a cut does not cut them.

A store that is given an address for each peer may come to know another: nodes pass on where they
listen, and dial that once the first is cut off. Such a connection is seen while it is open, in the
kernel's table, and is an event of the history, once for each pair.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping

from dynamesis.checkers.history.op import JsonObject
from dynamesis.harness.links.base import CLIENT
from dynamesis.harness.links.dialling.sockets import DialWatch
from dynamesis.harness.worlds.environment import TestEnvironment

#: The event of the history.
DIALLED_PAST = "dialled-past"


class PastWatch(DialWatch):
    """Looks at the connections of nodes whose addresses are these.

    meaning: as of DialWatch; pids: the process of each node that runs
    note: called with each pair that is seen for the first time
    """

    def __init__(
        self,
        meaning: Mapping[str, Mapping[str, tuple[str, bool]]],
        pids: Callable[[], Mapping[str, int]],
        note: Callable[[JsonObject], None],
    ) -> None:
        super().__init__(meaning)
        self._pids = pids
        self._note = note

    async def look(self) -> None:
        self.pids = dict(self._pids())
        known = set(self.past)
        await super().look()
        for name in sorted(set(self.past) - known):
            node, _, peer = name.partition("-")
            self._note({"node": node, "peer": peer})


def past_watch(world: TestEnvironment, note: Callable[[JsonObject], None]) -> PastWatch | None:
    """What looks whether the nodes of this environment dial each other past their proxies; None
    where they have none, or the processes are not known."""
    pids, target = world.store.pids, world.target
    if pids is None or not sys.platform.startswith("linux"):
        return None
    if all(route.source == CLIENT for route in world.routes):
        return None
    listens = [
        (peer, site.address(port)) for peer, site in world.sites.items() for port in target.between
    ]
    meaning = {
        node: {address: (peer, False) for peer, address in listens if peer != node}
        for node in world.sites
    }
    return PastWatch(meaning, pids, note)
