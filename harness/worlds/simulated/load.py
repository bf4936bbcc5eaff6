"""The load of harness.nemesis.loads on simulated nodes."""

from __future__ import annotations

from collections.abc import Callable

from dynamesis.harness.targets.dynamo.load_generator import PATIENCE, DeafStream, LoadGenerator
from dynamesis.harness.worlds.simulated.client import Connector


class SimulatedLoad(LoadGenerator):
    """As for real nodes, but for connections that read nothing: here it is the node that is not
    read."""

    def __init__(self, address: Callable[[str], str], connector: Connector) -> None:
        super().__init__(address, connect=connector)
        self._connector = connector

    async def _deaf_stream(self, node: str) -> DeafStream:
        deaf = await self._connector.converse(self._address(node), PATIENCE)
        deaf.line.deaf = True
        return deaf
