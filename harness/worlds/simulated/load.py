"""The load of harness.nemesis.loads on simulated nodes."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from math import ceil

from dynamesis.cluster.core.protocol.messages import Get, Key, RequestOptions
from dynamesis.harness.nemesis.loads import EXTRA
from dynamesis.harness.targets.dynamo.load_generator import ASKED, PATIENCE, PAUSE, LoadGenerator
from dynamesis.harness.worlds.simulated.client import Connector

_ANY = RequestOptions(r=1)


class SimulatedLoad(LoadGenerator):
    """As for real nodes, but for connections that read nothing: here it is the node that is not
    read."""

    def __init__(self, address: Callable[[str], str], connector: Connector) -> None:
        super().__init__(address, connect=connector)
        self._connector = connector

    async def _deaf(self, node: str, gets: int, ended: Counter[str]) -> None:
        key = f"{EXTRA}{node}/asked"
        connection = await self._open(node)
        try:
            await self._put(connection, key, b"x" * ASKED, ended)
        finally:
            connection.close()
        deaf = await self._connector.converse(self._address(node), PATIENCE)
        deaf.line.deaf = True
        try:
            while not deaf.closing:
                for _ in range(ceil(gets * PAUSE)):
                    deaf.send(Get(next(self._requests), Key(key.encode()), _ANY))
                    ended["asked"] += 1
                await asyncio.sleep(PAUSE)
        finally:
            deaf.close("it has not read for long enough")
