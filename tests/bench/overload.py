"""Memory of a node that is flooded: `python tests/bench/overload.py`.

Offers a node on a slow disk far more than it can store, and prints its memory (no mapped
files) and what it refused, every half second until a second after the flood.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "cluster"))

from dynamesis.cluster.client.admin import AdminClient
from dynamesis.harness.processes.ports import reserve
from node_world import SECRET, NodeAlone, ended
from test_overload import MIB, anonymous_bytes, flood

FLOODS = 8
PUTS = 400
#: seconds for one of them
PATIENCE = 300.0


async def main() -> None:
    storage = {"engine": "lmdb", "map_size": 1 << 32, "faults": True}
    params = {"n": 1, "r": 1, "w": 1, "request_timeout": PATIENCE}
    with tempfile.TemporaryDirectory() as folder, reserve(2) as ports:
        node = NodeAlone(Path(folder), ports.take(), ports.take(), storage=storage, params=params)
        with ended(node):
            process = node.start()
            await node.ready()
            await node.ask("disk", fault="slow-fsync", seconds=0.05)
            print(f"{'s':>6} {'MiB':>6} {'refused':>8}")
            began = time.monotonic()
            floods = [
                asyncio.ensure_future(flood(node.address, PUTS, MIB // 4, PATIENCE))
                for _ in range(FLOODS)
            ]
            over = None
            while over is None or time.monotonic() < over + 1:
                async with AdminClient(node.admin, 30.0, secret=SECRET) as admin:
                    refused = (await admin.ask("figures"))["refusals"].get("overloaded", 0)
                memory = anonymous_bytes(process.pid) / MIB
                print(f"{time.monotonic() - began:6.1f} {memory:6.0f} {refused:8}", flush=True)
                if over is None and all(f.done() for f in floods):
                    over = time.monotonic()
                await asyncio.sleep(0.5)
            taken = sum(f.result()[0] for f in floods)
            print(f"offered {FLOODS * PUTS // 4} MiB, took {taken // 4} MiB")


if __name__ == "__main__":
    asyncio.run(main())
