"""How to start a node of the store in store.py, and how to read and write."""

from pathlib import Path

from dynamesis import Op, Target
from dynamesis.targets import Command, NodeClient, NodeSite, Site, fail, ok, unknown

STORE = Path(__file__).with_name("store.py")


class KvClient(NodeClient):
    def perform(self, op: Op) -> Op:
        if op.f == "read":
            status, text = self.http("GET", f"/{op.key}")
            if status in (200, 404):  # 404: nothing was written yet
                return ok(op, int(text) if status == 200 else None)
            return fail(op, f"http-{status}", text)  # a read changes nothing
        status, text = self.http("PUT", f"/{op.key}", f"{op.value}")
        if status == 200:
            return ok(op)
        if status == 503:  # by this the store promises that it wrote nothing
            return fail(op, "no-majority", text)
        return unknown(op, f"http-{status}", text)  # it may be written


class Kv(Target):
    name = "kv"
    workloads = ("read-write",)
    links = "pairs"  # a node is given an address for each other one
    start = "python3 {store} {port} {data} {peers}"

    def command(self, node: NodeSite, site: Site) -> Command:
        return Command.line(self.start, node, site, store=STORE)

    def client(self, site: Site) -> KvClient:
        return KvClient()


class EarlyKv(Kv):
    """With the planted bug: it acknowledges a write that one node alone has."""

    name = "kv-early"
    start = f"{Kv.start} --early"
