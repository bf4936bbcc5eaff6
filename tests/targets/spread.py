"""The target of spread_server.py: a user's own, which can be asked what each node holds."""

from __future__ import annotations

import asyncio
import json
import sys
import urllib.request
from pathlib import Path
from typing import Any

from dynamesis import Client, Op, Target
from dynamesis.targets import Command, NodeClient, NodeSite, Site, ok

SERVER = Path(__file__).with_name("spread_server.py")


class SpreadClient(NodeClient):
    def perform(self, op: Op) -> Op:
        if op.f == "add":
            self.http("POST", "/from-client", json.dumps([op.key, op.value]))
            return ok(op, node=self.node)
        return ok(op, json.loads(self.http("GET", "/")[1]).get(op.key, []), node=self.node)


class Spread(Target):
    workloads = ("set",)
    links = "pairs"
    quiet_after = 1.0
    how = "until-it-arrives"

    def command(self, node: NodeSite, site: Site) -> Command:
        peers = site.peers(node.name)
        return Command([sys.executable, "-IS", SERVER, node.ports["client"], self.how, *peers])

    def client(self, site: Site) -> Client:
        return SpreadClient()

    async def held(self, node: NodeSite, site: Site) -> dict[str, Any]:
        def ask() -> Any:
            with urllib.request.urlopen(f"http://{node.address()}/", timeout=2.0) as answer:
                return json.loads(answer.read())

        held: dict[str, Any] = await asyncio.to_thread(ask)
        return held


class SentOnce(Spread):
    how = "once"


class Mute(Spread):
    async def held(self, node: NodeSite, site: Site) -> dict[str, Any]:
        if node.name == "n2":
            raise OSError("no answer")
        return await super().held(node, site)
