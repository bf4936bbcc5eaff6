"""How to start the store of store.py, and how to read and write."""

import http.client
import sys
from collections.abc import Mapping
from pathlib import Path

from dynamesis.targets import BlockingClient, Command, NodeSite, Op, Site, Target, fail, ok, unknown


class KvClient(BlockingClient):
    def connect(self, addresses: Mapping[str, str]) -> None:
        self.node = list(addresses)[self.thread % len(addresses)]
        self.address = addresses[self.node]

    def perform(self, op: Op) -> Op:
        if op.f == "read":
            status, body = self.request("GET", f"/{op.key}")
            if status in (200, 404):
                return ok(op, int(body) if status == 200 else None, self.node)
            return fail(op, f"http-{status}", body, self.node)
        status, body = self.request("PUT", f"/{op.key}", f"{op.value}")
        if status == 200:
            return ok(op, node=self.node)
        # 503: it did not begin to write; any other answer leaves the write in doubt
        doubt = fail if status == 503 else unknown
        return doubt(op, f"http-{status}", body, self.node)

    def request(self, method: str, path: str, body: str = "") -> tuple[int, str]:
        connection = http.client.HTTPConnection(self.address, timeout=3.0)
        try:
            connection.request(method, path, body)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()


class Kv(Target):
    name = "kv"
    workloads = ("register",)
    links = "pairs"  # each node dials each other one at an address of its own
    flags: tuple[str, ...] = ()

    def command(self, node: NodeSite, site: Site) -> Command:
        others = [site.dials(node.name, other) for other in site.nodes if other != node.name]
        peers = ",".join(f"{host}:{port}" for host, port in others)
        store, port = Path(__file__).with_name("store.py"), str(node.ports["client"])
        return Command([sys.executable, store, port, node.data, peers, *self.flags])

    def client(self, site: Site) -> KvClient:
        return KvClient()


class EarlyKv(Kv):
    """With the planted bug: it acknowledges writes that one node alone has."""

    name = "kv-early"
    flags = ("--early",)
