"""Where the nodes of a store live, and by which addresses they and the clients reach each other.

A store is never given the port at which another node listens: it is given the port of a proxy
in front of it, which the harness can break.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

#: The diallers that are not nodes: clients; and all peers, where one address serves them all.
CLIENT, PEERS = "client", "peers"
#: The port that clients dial.
CLIENT_PORT = "client"

#: (dialling node or client, node, name of the port) -> host:port
Resolve = Callable[[str, str, str], str]


@dataclass(frozen=True)
class NodeSite:
    """Where one node lives.

    ports: by the names in Target.ports; where its process listens
    data: its data folder: there, and empty at the first boot; kept over restarts, emptied by a
        wipe
    log: stdout and stderr of its process
    joins: whether it is to join a cluster that runs, and was not among its founders, or has left
    """

    name: str
    host: str
    ports: Mapping[str, int]
    data: Path
    log: Path
    joins: bool = False

    def address(self, port: str = CLIENT_PORT) -> str:
        """The host:port at which its process listens."""
        return f"{self.host}:{self.ports[port]}"


@dataclass(frozen=True)
class Site:
    """A whole cluster on this machine.

    nodes: the founders
    node: by name, newcomers too
    options: --target-option NAME=VALUE, checked against Target.options
    folder: for files of the whole cluster; deleted at the end
    workload, model: what the clients will do, by name, and the model that it names: `add` is one
        thing to a set and another to a counter
    """

    nodes: tuple[str, ...]
    node: Mapping[str, NodeSite]
    folder: Path
    resolve: Resolve
    options: Mapping[str, str] = field(default_factory=dict)
    workload: str = ""
    model: str = ""

    def dials(self, source: str, dest: str, port: str = "") -> tuple[str, int]:
        """The (host, port) by which node `source` reaches `dest`: through the proxy of this
        ordered pair. `port`: by default the one by which nodes dial each other."""
        return split(self.resolve(source, dest, port))

    def peers(self, source: str, port: str = "") -> list[str]:
        """The host:port of every other founder, as node `source` dials them."""
        return [self.resolve(source, dest, port) for dest in self.nodes if dest != source]

    def advertised(self, dest: str, port: str = "") -> tuple[str, int]:
        """The one (host, port) by which every node reaches `dest`: through the proxy before it."""
        return split(self.resolve(PEERS, dest, port))

    def client(self, dest: str, port: str = "") -> tuple[str, int]:
        """The (host, port) by which clients reach `dest`, through a proxy."""
        return split(self.resolve(CLIENT, dest, port))


def split(address: str) -> tuple[str, int]:
    """host and port of host:port."""
    host, _, port = address.rpartition(":")
    return host, int(port)


def save(site: Site, routes: Mapping[tuple[str, str, str], str], file: Path) -> None:
    """Write a site for processes that were started before it was known (load drivers)."""
    nodes = {
        name: {"host": n.host, "ports": dict(n.ports), "data": str(n.data), "log": str(n.log)}
        for name, n in site.node.items()
    }
    content = {
        "nodes": site.nodes,
        "node": nodes,
        "folder": str(site.folder),
        "options": dict(site.options),
        "workload": site.workload,
        "model": site.model,
        "routes": [[*path, address] for path, address in routes.items()],
    }
    part = file.with_suffix(".part")
    part.write_text(json.dumps(content), encoding="utf-8")
    part.replace(file)


def load(file: Path) -> Site:
    """The site that `save` wrote."""
    content = json.loads(file.read_text(encoding="utf-8"))
    routes = {(a, b, port): address for a, b, port, address in content["routes"]}
    nodes = {
        name: NodeSite(name, n["host"], n["ports"], Path(n["data"]), Path(n["log"]))
        for name, n in content["node"].items()
    }
    return Site(
        nodes=tuple(content["nodes"]),
        node=nodes,
        folder=Path(content["folder"]),
        resolve=lambda source, dest, port: routes[source, dest, port],
        options=content["options"],
        workload=content["workload"],
        model=content["model"],
    )
