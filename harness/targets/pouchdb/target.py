"""Target `pouchdb`: one PouchDB Server a node, and every node replicates from each other one.

It needs Node.js and the package `pouchdb-server` with core 7: in the folder that
$DYNAMESIS_POUCHDB names, or in our cache.
"""

from __future__ import annotations

import asyncio
import http.client
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dynamesis.harness.targets.client import Client
from dynamesis.harness.targets.pouchdb.client import DATABASE, PouchDBClient
from dynamesis.harness.targets.provision import provided
from dynamesis.harness.targets.site import NodeSite, Site
from dynamesis.harness.targets.target import Command, FaultLimits, Target, TargetOption
from dynamesis.workloads.client.client import ContextCache

_HOW = "npm install --prefix FOLDER pouchdb-server@4 pouchdb-core@7"
_SCRIPT = "node_modules/pouchdb-server/bin/pouchdb-server"
#: s that one round of replication may take
_ROUND = 20.0


class PouchDBTarget(Target):
    """A put is on one node when it is acknowledged; replication brings it to the others."""

    name = "pouchdb"
    description = "PouchDB Server: multi-master replication, conflicts are kept as siblings"
    workloads = (
        *("dynamo/register", "dynamo/cart", "dynamo/set", "dynamo/counter", "dynamo/delete"),
        *("dynamo/sessions", "dynamo/blind", "dynamo/hot-key", "dynamo/large-values"),
        "dynamo/append",
    )
    links = "pairs"
    programs = ("node",)
    install = "get Node.js 14 or later (Debian: nodejs)"
    boot_limit = 60.0
    op_limit = 10.0
    options: Mapping[str, TargetOption] = {
        "read": TargetOption(
            "all",
            "what a client reads of a document: all its conflicting revisions, or the winner, as "
            "a plain GET shows it",
            ("all", "winner"),
        ),
        "merges": TargetOption(
            "edits",
            "how a put replaces several: by an update of one and deletions of the others, as the "
            "documentation of CouchDB has it, or listed as well in the revision that stays",
            ("edits", "listed"),
        ),
        "engine": TargetOption(
            "leveldb", "where documents are kept; what is in memory dies", ("leveldb", "memory")
        ),
    }
    limits = FaultLimits(w=1)

    def __init__(self) -> None:
        self._contexts = ContextCache()
        self._formed: Path | None = None

    @property
    def setting(self) -> Mapping[str, Any]:
        return {"n": self.nodes}

    def require(self) -> None:
        super().require()
        _package()

    def command(self, node: NodeSite, site: Site) -> Command:
        script = _package() / _SCRIPT
        argv: list[str | Path] = ["node", script, "--host", node.host]
        argv += ["--port", str(node.ports["client"]), "--dir", node.data, "--no-stdout-logs"]
        if site.options["engine"] == "memory":
            argv.append("--in-memory")
        return Command(argv)

    async def ready(self, node: NodeSite, site: Site) -> bool:
        """Up, with its database, and, after the boot, replicating from every other node."""
        status, _ = await ask(node, "PUT", f"/{DATABASE}")
        if status not in (201, 412):
            return False
        return self._formed != site.folder or await _replicates_all(node, site)

    async def prepare(self, site: Site) -> None:
        """Replication begins once all nodes serve: where it finds one that does not, it waits
        longer and longer before it tries again, and a cut meanwhile meets nothing."""
        for node in site.nodes:
            if not await _replicates_all(site.node[node], site):
                raise RuntimeError(f"{node} does not begin to replicate")
        self._formed = site.folder

    async def at_rest(self, site: Site) -> bool:
        """Whether one more round of replication finds nothing: the one that runs may wait for
        minutes after a fault before it tries again."""
        pairs = [(dest, source) for dest in site.nodes for source in site.nodes if source != dest]
        written = await asyncio.gather(*(_replicated(site, *pair) for pair in pairs))
        return not any(written)

    def client(self, site: Site) -> Client:
        winner, listed = site.options["read"] == "winner", site.options["merges"] == "listed"
        return PouchDBClient(self._contexts, winner, listed)


async def _replicates_all(node: NodeSite, site: Site) -> bool:
    others = [source for source in site.nodes if source != node.name]
    return all([await _replicates(node, source, site) for source in others])


async def _replicates(node: NodeSite, source: str, site: Site) -> bool:
    """Have a node replicate from another continuously, also after it starts again."""
    path = f"/_replicator/from-{source}"
    status, _ = await ask(node, "GET", path)
    if status == 404:
        begin = {"source": _from(node, source, site), "target": DATABASE, "continuous": True}
        status, _ = await ask(node, "PUT", path, begin)
    return status in (200, 201)


async def _replicated(site: Site, dest: str, source: str) -> int:
    """Replicate once; how many revisions were written for it."""
    node = site.node[dest]
    body = {"source": _from(node, source, site), "target": DATABASE}
    status, content = await ask(node, "POST", "/_replicate", body, _ROUND)
    if status != 200 or not content.get("ok"):
        raise RuntimeError(f"{dest} does not replicate from {source}: {status} {content}")
    return int(content["docs_written"])


def _from(node: NodeSite, source: str, site: Site) -> str:
    host, port = site.dials(node.name, source)
    return f"http://{host}:{port}/{DATABASE}"


async def ask(
    node: NodeSite, method: str, path: str, body: object = None, within: float = 4.0
) -> tuple[int, Any]:
    """The status and the content of a node's answer, straight from it."""

    def request() -> tuple[int, Any]:
        connection = http.client.HTTPConnection(node.address(), timeout=within)
        try:
            sent = None if body is None else json.dumps(body)
            connection.request(method, path, sent, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read() or b"null")
        finally:
            connection.close()

    return await asyncio.to_thread(request)


def _package() -> Path:
    return provided("pouchdb", "DYNAMESIS_POUCHDB", "pouchdb", _SCRIPT, _HOW)
