"""Memory of nodes between which one key with many MiB of siblings moves:
`python tests/bench/sibling_memory.py [MIB [KEYS]]`.

Sixteen nodes that were all apart may have stamped 64 MiB of one key, 4 MiB each. Such a state is
given to one node of two (a third one is down), repaired at the other, read, and merged by a put.
Prints the most memory, without mapped files, that each node had in each step.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
import tempfile
import threading
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "cluster"))

from dynamesis.cluster.client.client import Client
from dynamesis.cluster.core.protocol.messages import (
    Entry,
    Hello,
    Key,
    ReplicaPut,
    ReplicaPutReply,
    Version,
)
from dynamesis.harness.processes.ports import reserve
from node_world import NodeAlone, Raw, ended
from test_overload import MIB, anonymous_bytes

NAMES, KEY = ("n1", "n2", "n3"), Key(b"hot-0")
#: siblings of 1 MiB that a node may stamp of one key
EACH = 4
#: s for a step
PATIENCE = 120.0


class Peaks:
    """The most memory of each process since the last step, looked at every 5 ms."""

    def __init__(self, pids: dict[str, int]) -> None:
        self._pids = pids
        self._most = dict.fromkeys(pids, 0)
        self._ended = threading.Event()
        self._looker = threading.Thread(target=self._look, daemon=True)
        self._looker.start()

    def step(self, name: str) -> None:
        """Print what each had, and begin anew."""
        shown = "".join(f"{most / MIB:9.0f}" for most in self._most.values())
        print(f"{name:22}{shown}", flush=True)
        self._most = dict.fromkeys(self._pids, 0)

    def end(self) -> None:
        self._ended.set()
        self._looker.join()

    def _look(self) -> None:
        while not self._ended.wait(0.005):
            for name, pid in self._pids.items():
                self._most[name] = max(self._most[name], anonymous_bytes(pid))


def state(mib: int) -> dict[str, Entry]:
    """So many siblings of 1 MiB, stamped by as many nodes as that takes."""
    return {
        f"a{first}:1:1": Entry(many, tuple((n, Version(bytes(MIB))) for n in range(many, 0, -1)))
        for first in range(0, mib, EACH)
        for many in [min(EACH, mib - first)]
    }


async def eventually(true: Callable[[], Awaitable[bool]]) -> None:
    until = time.monotonic() + PATIENCE
    while not await true():
        if time.monotonic() > until:
            raise TimeoutError("it was not repaired")
        await asyncio.sleep(0.1)


async def several(address: str) -> None:
    """As many requests of a key as a node always lets in."""
    async with contextlib.AsyncExitStack() as stack:
        clients = [
            await stack.enter_async_context(Client([address], timeout=PATIENCE)) for _ in range(4)
        ]
        await asyncio.gather(*(each.get(KEY) for each in clients), return_exceptions=True)


async def measure(nodes: dict[str, NodeAlone], peaks: Peaks, mib: int, keys: int) -> None:
    await asyncio.sleep(1.0)
    peaks.step("before")
    raw = await Raw.greeted(nodes["n1"].address, Hello("n3", "dynamesis", role="node"))
    for number in range(keys):
        raw.say(ReplicaPut(number, Key(b"hot-%d" % number), state(mib)))
    for _ in range(keys):
        assert isinstance(await raw.read(), ReplicaPutReply)
    raw.close()
    peaks.step("copies come to n1")

    async def repaired() -> bool:
        return len({each["key"] for each in nodes["n2"].events("stored")}) == keys

    await eventually(repaired)
    peaks.step("n2 is repaired")
    async with Client([nodes["n2"].address], timeout=PATIENCE) as client:
        read = await client.get(KEY)
        peaks.step("a get at n2")
        assert len(read.siblings) == mib
        await several(nodes["n2"].address)
        peaks.step("four gets together")
        await client.put(KEY, b"merged", context=read.context)
        peaks.step("a put that merges")
    await asyncio.sleep(5.0)
    peaks.step("5 s later")


async def main(mib: int = 63, keys: int = 1) -> None:
    with (
        tempfile.TemporaryDirectory() as folder,
        reserve(6) as ports,
        contextlib.ExitStack() as stack,
    ):
        places = {name: (ports.take(), ports.take()) for name in NAMES}
        nodes, pids = {}, {}
        for name in NAMES:
            path = Path(folder) / name
            path.mkdir()
            peers = {n: f"127.0.0.1:{port}" for n, (port, _) in places.items() if n != name}
            params = {"n": 3, "r": 2, "w": 2, "anti_entropy_interval": 0.5}
            params |= {"request_timeout": 60.0, "replica_timeout": 30.0}
            storage = {"engine": "lmdb", "map_size": 1 << 32}
            rest = {"members": NAMES, "peers": peers, "params": params, "storage": storage}
            node = NodeAlone(path, *places[name], node=name, **rest)
            nodes[name] = stack.enter_context(ended(node))
            pids[name] = node.start().pid
        for node in nodes.values():
            await node.ready()
        nodes.pop("n3").end()
        pids.pop("n3")
        print(f"{'MiB':22}{'n1':>9}{'n2':>9}")
        peaks = Peaks(pids)
        try:
            await measure(nodes, peaks, mib, keys)
        finally:
            peaks.end()


if __name__ == "__main__":
    asyncio.run(main(*map(int, sys.argv[1:])))
