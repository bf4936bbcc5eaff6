"""Links: what is between nodes and clients, so that it can fail. An explicit table; what
an implementation needs is imported when it is chosen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from dynamesis.harness.links.base import Incident, Links
from dynamesis.harness.links.direct import DirectLinks
from dynamesis.harness.links.faults import FAULTS
from dynamesis.harness.links.messages import MessageLinks
from dynamesis.harness.links.toxics import KINDS
from dynamesis.harness.processes.ports import Ports
from dynamesis.harness.processes.process_guard import ProcessGuard
from dynamesis.harness.targets.system import EnvironmentFailed


@dataclass(frozen=True)
class LinkContext:
    """What links may use: a folder for logs, ports, the reaper, a listener for what
    is being done, and one for every server that had to be replaced."""

    folder: Path
    ports: Ports
    reaper: ProcessGuard
    say: Callable[[str], None]
    on_incident: Callable[[Incident], None]


@dataclass(frozen=True)
class LinksKind:
    """One implementation. `kinds`: the faults it can do. `make` may raise
    EnvironmentFailed; nothing runs before Links.start. `api_ports(n)`: ports it takes for
    itself with n nodes, beside one for each route."""

    description: str
    kinds: frozenset[str]
    make: Callable[[LinkContext], Links]
    api_ports: Callable[[int], int]


def _toxiproxy(context: LinkContext) -> Links:
    from dynamesis.harness.links.provision import toxiproxy_server
    from dynamesis.harness.links.toxiproxy import ToxiproxyLinks

    binary = toxiproxy_server(context.say)
    return ToxiproxyLinks(
        binary, context.folder, context.ports, context.reaper, context.on_incident
    )


def _embedded(context: LinkContext) -> Links:
    from dynamesis.harness.links.embedded import EmbeddedLinks

    return EmbeddedLinks(context.folder, context.reaper, context.on_incident)


def _auto(context: LinkContext) -> Links:
    try:
        return _toxiproxy(context)
    except EnvironmentFailed as failure:
        context.say(f"{failure}\nSo this test uses embedded links.")
        return _embedded(context)


LINKS: dict[str, LinksKind] = {
    "auto": LinksKind(
        "toxiproxy, or embedded where there is none", KINDS, _auto, lambda nodes: nodes + 1
    ),
    "toxiproxy": LinksKind(
        "a Toxiproxy server for each source, a proxy for each route",
        KINDS,
        _toxiproxy,
        lambda nodes: nodes + 1,
    ),
    "embedded": LinksKind(
        "a proxy process of our own, which also knows whole frames",
        frozenset(FAULTS),
        _embedded,
        lambda nodes: 0,
    ),
    "messages": LinksKind(
        "whole messages inside the harness, for programs on pipes (target maelstrom)",
        MessageLinks.kinds,
        lambda context: MessageLinks(),
        lambda nodes: 0,
    ),
    "direct": LinksKind(
        "no proxies and no faults on links, for benchmarks",
        DirectLinks.kinds,
        lambda context: DirectLinks(),
        lambda nodes: 0,
    ),
}
