"""Links: what stands between those who talk, so that it can fail. An explicit table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.links.base import Links
from harness.links.direct import DirectLinks
from harness.links.provision import toxiproxy_server
from harness.links.toxics import KINDS
from harness.links.toxiproxy import ToxiproxyLinks
from harness.ports import Ports
from harness.reaper import Reaper


@dataclass(frozen=True)
class Site:
    """What links may use: a folder for logs, ports, the reaper, somebody who hears what
    is being done, and somebody who hears of every server that had to be replaced."""

    folder: Path
    ports: Ports
    reaper: Reaper
    say: Callable[[str], None]
    on_incident: Callable[[dict[str, Any]], None]


@dataclass(frozen=True)
class LinksKind:
    """One implementation. `kinds`: the faults it can do. `make` may raise
    EnvironmentFailed; nothing runs before Links.start. `api_ports(n)`: ports it takes for
    itself with n nodes, beside one for each route."""

    description: str
    kinds: frozenset[str]
    make: Callable[[Site], Links]
    api_ports: Callable[[int], int]


def _toxiproxy(site: Site) -> Links:
    binary = toxiproxy_server(site.say)
    return ToxiproxyLinks(binary, site.folder, site.ports, site.reaper, site.on_incident)


LINKS: dict[str, LinksKind] = {
    "toxiproxy": LinksKind(
        "a Toxiproxy server for each source, a proxy for each route",
        KINDS,
        _toxiproxy,
        lambda nodes: nodes + 1,
    ),
    "direct": LinksKind(
        "no proxies and no faults on links, for benchmarks",
        DirectLinks.kinds,
        lambda site: DirectLinks(),
        lambda nodes: 0,
    ),
}
