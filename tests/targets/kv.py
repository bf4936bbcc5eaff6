"""The target and the workload of kv_server.py: what a user writes for a store of their own."""

from __future__ import annotations

import http.client
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dynamesis import Client, Op, Target
from dynamesis.targets import (
    BlockingClient,
    Command,
    NodeSite,
    Site,
    TargetOption,
    fail,
    ok,
    unknown,
)

SERVER = Path(__file__).with_name("kv_server.py")


class KvClient(BlockingClient):
    def connect(self, addresses: Mapping[str, str]) -> None:
        nodes = list(addresses)
        self.node = nodes[self.thread % len(nodes)]
        self.connection = http.client.HTTPConnection(addresses[self.node], timeout=2.0)

    def perform(self, op: Op) -> Op:
        request = {"f": op.f, "key": op.key, "value": op.value}
        try:
            self.connection.request("POST", "/", json.dumps(request))
        except ConnectionRefusedError as refused:
            return fail(op, "unreachable", str(refused))
        answer = self.connection.getresponse()
        content: dict[str, Any] = json.loads(answer.read())
        if answer.status == 503:
            return fail(op, "no-primary", content["error"])
        if answer.status != 200:
            return unknown(op, "in-doubt", content["error"])
        if "error" in content:
            return fail(op, "compared", content["error"])
        return ok(op, content["value"], node=self.node) if op.f == "read" else ok(op)

    def disconnect(self) -> None:
        self.connection.close()


class Kv(Target):
    name = "kv"
    description = "a key-value store of one file, for tests"
    workloads = ("register", "plain")
    ports = ("client",)
    links = "pairs"
    quiet_after = 0.2
    options = {"sync": TargetOption("yes", "whether writes are synced", ("yes", "no"))}  # noqa: RUF012
    more: tuple[str, ...] = ()

    def command(self, node: NodeSite, site: Site) -> Command:
        first = site.nodes[0]
        primary = "-"
        if node.name != first:
            host, port = site.dials(node.name, first)
            primary = f"{host}:{port}"
        where = [node.name, node.ports["client"], node.data, primary]
        return Command([sys.executable, "-IS", SERVER, *map(str, where), *self.more])

    def client(self, site: Site) -> Client:
        return KvClient()
