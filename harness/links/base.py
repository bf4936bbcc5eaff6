"""What links are: one proxied path for every ordered pair that talks, and the faults
that a path can suffer. Implementations: `toxiproxy`, `embedded`, `direct`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class Route:
    """The path by which `source` (a node id, or "client") reaches node `dest`.
    `listen` and `upstream` are host:port strings, `listen` below port 32768."""

    source: str
    dest: str
    listen: str
    upstream: str

    @property
    def name(self) -> str:
        return f"{self.source}-{self.dest}"


class Links(Protocol):
    """Every fault is set by replacing what a route had; `heal` sets none."""

    async def start(self, routes: Iterable[Route]) -> None:
        """Bring up every route without a fault. Raises EnvironmentFailed."""

    async def apply(self, faults: Mapping[str, object]) -> None:
        """Give each named route the fault (harness.links.faults) that stands beside it."""

    async def heal(self, names: Iterable[str] | None = None) -> None:
        """Take every fault off the named routes (None: off all), and check that it is off."""

    async def stop(self) -> None:
        """Stop every process this started; never raises."""
