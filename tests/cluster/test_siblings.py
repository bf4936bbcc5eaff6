"""Many siblings of one key: refused before a stamp, and whatever is stored can be read and
repaired."""

from __future__ import annotations

import asyncio
import contextlib
import time
from pathlib import Path

import pytest
from dynamesis.cluster.client.client import BadRequest, Client
from dynamesis.cluster.core.protocol.messages import (
    Entry,
    Hello,
    Key,
    Put,
    PutReply,
    Refusal,
    ReplicaPut,
    ReplicaPutReply,
    Version,
)
from dynamesis.cluster.net.wire import encode
from dynamesis.harness.processes.ports import reserve
from node_world import CLIENT, NodeAlone, Raw, ended, in_loop

MIB = 1 << 20
KEY = Key(b"hot")


@in_loop
async def test_blind_puts_to_one_key_in_one_write_are_refused_above_the_limit(
    tmp_path: Path,
) -> None:
    with reserve(2) as ports, ended(NodeAlone(tmp_path, ports.take(), ports.take())) as node:
        node.start()
        await node.ready()
        raw = await Raw.greeted(node.address, CLIENT)
        began = time.process_time()
        raw.write(b"".join(encode(Put(rid, f"r{rid}", KEY, b"v")) for rid in range(2000)))
        answers = [await raw.read() for _ in range(2000)]
        assert time.process_time() - began < 10
        refused = [a for a in answers if isinstance(a, Refusal)]
        assert {a.code for a in refused} == {"too-many-siblings"}
        assert sum(isinstance(a, PutReply) for a in answers) == 256
        async with Client([node.address]) as client:
            read = await client.get(KEY)
            assert len(read.siblings) == 256
            with pytest.raises(BadRequest, match="256 siblings") as refusal:
                await client.put(KEY, b"one more")
            assert refusal.value.definite
            await client.put(KEY, b"merged", context=read.context)
            assert (await client.get(KEY)).values == (b"merged",)
            await client.put(KEY, b"blind again")
        raw.close()


@in_loop
async def test_bytes_of_siblings_are_limited_too(tmp_path: Path) -> None:
    params = {"n": 1, "r": 1, "w": 1, "max_sibling_bytes": 3 * MIB}
    with (
        reserve(2) as ports,
        ended(NodeAlone(tmp_path, ports.take(), ports.take(), params=params)) as node,
    ):
        node.start()
        await node.ready()
        raw = await Raw.greeted(node.address, CLIENT)
        for rid in range(6):
            raw.say(Put(rid, f"r{rid}", KEY, bytes(MIB)))
        codes = [getattr(await raw.read(), "code", "ok") for _ in range(6)]
        assert codes == ["ok"] * 3 + ["too-many-siblings"] * 3
        raw.close()


@in_loop
async def test_what_many_nodes_stamped_while_apart_is_read_and_repaired(tmp_path: Path) -> None:
    """24 MiB of siblings, as six nodes may have stamped them: more than any of them takes."""
    names = ("n1", "n2", "n3")
    with reserve(6) as ports, contextlib.ExitStack() as stack:
        places = {name: (ports.take(), ports.take()) for name in names}
        nodes = {}
        for name, (port, admin) in places.items():
            (tmp_path / name).mkdir()
            peers = {n: f"127.0.0.1:{p}" for n, (p, _) in places.items() if n != name}
            params = {"n": 3, "r": 1, "w": 1, "anti_entropy_interval": 0.2}
            rest = {"members": names, "peers": peers, "params": params}
            node = NodeAlone(tmp_path / name, port, admin, node=name, **rest)
            nodes[name] = stack.enter_context(ended(node))
            node.start()
        for node in nodes.values():
            await node.ready()
        nodes.pop("n3").end()
        raw = await Raw.greeted(nodes["n1"].address, Hello("n3", "dynamesis", role="node"))
        four = tuple((event, Version(bytes(MIB))) for event in (4, 3, 2, 1))
        state = {f"{i}:1:1": Entry(4, four) for i in range(6)}
        raw.say(ReplicaPut(1, KEY, state))
        assert await raw.read() == ReplicaPutReply(1, False)
        raw.close()
        deadline = time.monotonic() + 100
        while not any(e["key"] == "hot" for e in nodes["n2"].events("stored")):
            assert time.monotonic() < deadline, "it is repaired at n2"
            await asyncio.sleep(0.1)
        page = await nodes["n2"].ask("dump")
        assert len(page["rows"][0]["siblings"]) == 24
        for node in nodes.values():
            async with Client([node.address], timeout=30.0) as client:
                assert len((await client.get(KEY)).siblings) == 24
            assert not node.events("frame-too-large")
        async with Client([nodes["n2"].address], timeout=30.0) as client:
            read = await client.get(KEY)
            await client.put(KEY, b"merged", context=read.context)
            assert (await client.get(KEY)).values == (b"merged",)
