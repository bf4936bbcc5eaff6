"""A node is held to its own past, by its disk, and to its peers, at HELLO: on real processes."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from dynamesis.cluster.client.client import BadRequest, Client, DynamoError
from dynamesis.cluster.core.protocol.messages import Hello, Refusal
from dynamesis.harness.processes.ports import Ports, reserve
from node_world import PATIENCE, SECRET, NodeAlone, Raw, ended, in_loop, until, with_proof

pytestmark = pytest.mark.cluster

DISK = {"engine": "lmdb"}
SMALL = {"n": 1, "r": 1, "w": 1}


@pytest.fixture
def ports() -> Iterator[Ports]:
    with reserve(12) as ports:
        yield ports


# ---- the disk


@pytest.mark.parametrize(
    ("change", "refusal", "advice"),
    [
        ({"params": SMALL | {"partitions": 32}}, "params.partitions: from 64 to 32", "a new one"),
        ({"params": SMALL | {"clock": "vector"}}, "params.clock: from 'dvv' to 'vector'", "a new"),
        ({"cluster": "b"}, "cluster: from 'dynamesis' to 'b'", "`data` folder of its own"),
        ({"node": "n2", "members": ["n2"]}, "node: from 'n1' to 'n2'", "`data` folder of its own"),
        (
            {
                "members": ["n1", "n2"],
                "peers": {"n2": "127.0.0.1:9"},
                "params": {"n": 2, "partitions": 8},
            },
            "params.partitions: from 64 to 8; params.n: from 1 to 2",
            "set it back on all nodes",
        ),
    ],
)
@in_loop
async def test_a_disk_is_not_taken_for_another(
    tmp_path: Path, ports: Ports, change: dict[str, Any], refusal: str, advice: str
) -> None:
    first, second = ports.take(), ports.take()
    with ended(NodeAlone(tmp_path, first, second, storage=DISK)) as node:
        node.start()
        await node.ready()
        async with Client([node.address]) as store:
            await store.put(b"k", b"v")
        node.end()
        changed = NodeAlone(tmp_path, first, second, storage=DISK, **change)
        with ended(changed):
            assert changed.start().wait(60) == 2
        printed = changed.errors.read_text()
        assert refusal in printed
        assert advice in printed
        assert str(tmp_path / "data") in printed
        assert len(printed.splitlines()) == 1
        with ended(NodeAlone(tmp_path, first, second, storage=DISK)) as again:
            again.start()
            await again.ready()
            async with Client([again.address]) as store:
                assert (await store.get(b"k")).values == (b"v",)


@in_loop
async def test_a_disk_of_another_cluster_of_the_same_names_is_refused(
    tmp_path: Path, ports: Ports
) -> None:
    """Name, node and ring are alike; the secret is not, and the disk has only a mark of it."""
    first, second = ports.take(), ports.take()
    with ended(NodeAlone(tmp_path, first, second, storage=DISK)) as theirs:
        theirs.start()
        await theirs.ready()
        async with Client([theirs.address]) as store:
            await store.put(b"k", b"theirs")
    assert SECRET.encode() not in (tmp_path / "data" / "data.mdb").read_bytes()
    other = {"storage": DISK, "secret": "of another cluster"}
    with ended(NodeAlone(tmp_path, first, second, **other)) as ours:
        assert ours.start().wait(60) == 2
    printed = ours.errors.read_text()
    assert re.search("secret: from '[0-9a-f]{16}' to '[0-9a-f]{16}', but ", printed)
    assert "another cluster wrote it" in printed
    assert SECRET not in printed
    assert "of another cluster" not in printed
    assert len(printed.splitlines()) == 1
    # a cluster whose secret was changed names the one before, once
    for former in ({"former_secret": "no"}, {"former_secret": SECRET}, {}):
        with ended(NodeAlone(tmp_path, first, second, **other, **former)) as again:
            if former.get("former_secret") == "no":
                assert again.start().wait(60) == 2
                continue
            again.start()
            assert await _once_it_answers(again, b"k") == (b"theirs",)
    with ended(NodeAlone(tmp_path, first, second, storage=DISK)) as back:
        assert back.start().wait(60) == 2


async def _once_it_answers(node: NodeAlone, key: bytes) -> tuple[bytes, ...]:
    async with asyncio.timeout(PATIENCE):
        while True:
            with contextlib.suppress(DynamoError):
                async with Client([node.address]) as store:
                    return (await store.get(key)).values
            await asyncio.sleep(0.05)


@in_loop
async def test_what_may_change_from_life_to_life_does(tmp_path: Path, ports: Ports) -> None:
    first, second = ports.take(), ports.take()
    with ended(NodeAlone(tmp_path, first, second, storage=DISK)) as node:
        node.start()
        await node.ready()
    other = SMALL | {"durability": "buffered", "max_key": 99, "replica_timeout": 2.0}
    with ended(NodeAlone(tmp_path, first, second, storage=DISK, params=other)) as node:
        node.start()
        await node.ready()


# ---- peers


def pair(folder: Path, ports: Ports, **of_second: Any) -> tuple[NodeAlone, NodeAlone]:
    """Two founders that dial each other; `of_second` is in the second's configuration only."""
    at = {name: ports.take() for name in ("n1", "n2")}
    nodes = []
    for me, other in (("n1", "n2"), ("n2", "n1")):
        (folder / me).mkdir()
        config = {
            "node": me,
            "members": ["n1", "n2"],
            "peers": {other: f"127.0.0.1:{at[other]}"},
            **(of_second if me == "n2" else {}),
        }
        nodes.append(NodeAlone(folder / me, at[me], ports.take(), **config))
    return nodes[0], nodes[1]


@contextlib.contextmanager
def up(*nodes: NodeAlone) -> Iterator[None]:
    with contextlib.ExitStack() as stack:
        for node in nodes:
            stack.enter_context(ended(node))
            node.start()
        yield


@pytest.mark.parametrize(
    ("config", "here", "there"),
    [
        ({"params": SMALL | {"partitions": 32}}, "params.partitions is 32 there, 64 here", "64"),
        ({"params": SMALL | {"n": 2}}, "params.n is 2 there, 1 here", "params.n is 1 there"),
        ({"params": SMALL | {"clock": "vector"}}, 'params.clock is "vector" there', '"dvv" there'),
        ({"params": SMALL | {"lww_buckets": ["b"]}}, 'params.lww_buckets is ["b"] there', "[]"),
        ({"cluster": "b"}, "this is cluster 'b', not 'dynamesis'", "cluster 'dynamesis', not 'b'"),
    ],
)
@in_loop
async def test_nodes_that_cannot_work_together_refuse_each_other(
    tmp_path: Path, ports: Ports, config: dict[str, Any], here: str, there: str
) -> None:
    one, two = pair(tmp_path, ports, **config)
    with up(one, two):
        for node, peer, reason in ((one, "n2", here), (two, "n1", there)):
            await until(
                lambda node=node, reason=reason: [
                    e for e in node.events("dial-failed") if reason in e["reason"]
                ],
                f"{reason} is logged",
            )
            link = (await node.ask("status"))["links"][peer]
            assert not link["up"]
            assert reason in link["reason"]
            assert not node.events("link-up")


@in_loop
async def test_a_node_that_dials_with_another_ring_is_refused(tmp_path: Path, ports: Ports) -> None:
    one, _ = pair(tmp_path, ports)
    with up(one):
        await until(lambda: one.events("start"), "it listens")
        for _ in range(2):
            raw = await Raw.dial(one.address)
            theirs = await raw.read()
            assert isinstance(theirs, Hello)
            raw.say(with_proof(Hello("n2", "dynamesis", config={"n": "2"}), theirs))
            refusals = [m for m in (await raw.read(), await raw.read()) if isinstance(m, Refusal)]
            assert [r.message for r in refusals] == [
                "params.n is 2 there, 1 here; all nodes of a cluster need the same"
            ]
            assert await raw.read() is None
            raw.close()
        await until(lambda: one.events("node-refused"), "it is logged")
        assert len(one.events("node-refused")) == 1
        assert "params.n is 2" in (await one.ask("status"))["objections"]["n2"]


@in_loop
async def test_what_may_differ_is_logged_and_served(tmp_path: Path, ports: Ports) -> None:
    one, two = pair(tmp_path, ports, params=SMALL | {"weights": {"n1": 2.0}})
    with up(one, two):
        await one.ready()
        await two.ready()
        await until(lambda: one.events("config-differs"), "n1 sees it")
        await until(lambda: two.events("config-differs"), "n2 sees it")
        assert "params.weights" in (await one.ask("status"))["objections"]["n2"]
        async with Client([one.address]) as store:
            await store.put(b"k", b"v")


# ---- keys


@in_loop
async def test_a_key_that_is_not_text_or_too_long_is_at_fault_itself(
    tmp_path: Path, ports: Ports
) -> None:
    with ended(NodeAlone(tmp_path, ports.take(), ports.take())) as node:
        node.start()
        await node.ready()
        async with Client([node.address]) as store:
            for key in ("\ud800", "a\udfffb", "\udbff" * 3):
                for act in (store.get(key), store.put(key, b"v"), store.delete(key)):
                    with pytest.raises(BadRequest, match="cannot be written in UTF-8") as caught:
                        await act
                    assert (caught.value.code, caught.value.definite) == ("bad-request", True)
            for size in (1025, 100_000, 3 << 20):
                for act in (store.get(b"k" * size), store.put("k" * size, b"v")):
                    with pytest.raises(BadRequest) as caught:
                        await act
                    assert (caught.value.code, caught.value.definite) == ("key-too-large", True)
            with pytest.raises(BadRequest) as caught:
                await store.put(b"k", b"v" * (3 << 20))
            assert caught.value.code == "value-too-large"
            await store.put(b"k" * 1024, b"v")


# ---- two processes under one name


@in_loop
async def test_two_processes_under_one_name_see_it_and_so_do_their_peers(
    tmp_path: Path, ports: Ports
) -> None:
    one, two = pair(tmp_path, ports)
    clone_folder = tmp_path / "clone"
    clone_folder.mkdir()
    clone = NodeAlone(
        clone_folder,
        ports.take(),
        ports.take(),
        members=["n1", "n2"],
        peers={"n2": two.address},
    )
    with up(one, two):
        await one.ready()
        await two.ready()
        assert (await one.ask("status"))["same_name"] == []
        with up(clone):
            for node in (one, two, clone):
                await until(lambda node=node: node.events("same-name"), "it is logged")
                assert node.events("same-name")[0]["name"] == "n1"
                assert "stop one of them" in node.events("same-name")[0]["reason"]
                assert (await node.ask("status"))["same_name"] == ["n1"]
        for node in (one, two):
            async with asyncio.timeout(PATIENCE):
                while (await node.ask("status"))["same_name"]:
                    await asyncio.sleep(0.2)


@in_loop
async def test_a_node_that_starts_again_is_not_two(tmp_path: Path, ports: Ports) -> None:
    one, two = pair(tmp_path, ports)
    with up(one, two):
        await two.ready()
        await until(lambda: two.events("link-up"), "n2 has met it")
        for _ in range(4):
            met = len(two.events("link-up"))
            one.end()
            one.start()
            await one.ready()
            await until(lambda n=met: len(two.events("link-up")) > n, "n2 has met it again")
        assert not [e for node in (one, two) for e in node.events("same-name")]


# ---- request ids


@in_loop
async def test_a_request_id_is_of_one_put(tmp_path: Path, ports: Ports) -> None:
    with ended(NodeAlone(tmp_path, ports.take(), ports.take())) as node:
        node.start()
        await node.ready()
        async with Client([node.address]) as store:
            first = await store.put(b"k", b"v", request="mine")
            assert (await store.put(b"k", b"v", request="mine")).context == first.context
            again = (
                store.put(b"k", b"w", request="mine"),
                store.put(b"other", b"v", request="mine"),
                store.put(b"k", b"w", request="mine", again=True),
                store.delete(b"k", request="mine"),
            )
            for act in again:
                with pytest.raises(BadRequest, match="is that of another put") as caught:
                    await act
                assert (caught.value.code, caught.value.definite) == ("bad-request", True)
            assert (await store.get(b"k")).values == (b"v",)
            assert (await store.get(b"other")).values == ()
