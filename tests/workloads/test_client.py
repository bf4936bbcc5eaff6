"""The client on a real cluster of processes, and what it makes of errors and contexts."""

import asyncio
import contextlib

import pytest
from dynamesis.checkers.history.op import Op, Sibling
from dynamesis.cluster.process.cluster_spec import ClusterSpec
from dynamesis.cluster.process.supervisor import unwatched
from dynamesis.harness.processes.ports import reserve
from dynamesis.workloads.client.client import EVICTED, ContextCache, DynamoClient
from dynamesis.workloads.client.codec import decode, encode

NODES = ("n1", "n2", "n3")


def test_what_is_encoded_is_decoded():
    for value in (None, 7, "ü", {"add": "sku-1", "items": ["a"]}, [1, [2]]):
        assert decode(encode("3.1", value), deleted=False) == Sibling("3.1", value)
    assert decode(encode("3.1"), deleted=True) == Sibling("3.1", None, True)


@pytest.mark.parametrize("data", [b"", b"{", b"7", b'{"value":1}', b'{"id":5}', b"\xff\xfe", b"[]"])
def test_undecodable_bytes_become_an_id_that_no_one_wrote(data):
    assert decode(data, deleted=False) == Sibling("?" + data.hex())


def test_contexts_forget_the_longest_unused():
    contexts = ContextCache(limit=2)
    contexts.remember(1, b"a")
    contexts.remember(2, b"b")
    contexts.remember(3, None)
    assert contexts.of(1) == b"a"
    contexts.remember(4, b"d")
    assert [contexts.of(i) for i in (1, 2, 3, 4)] == [b"a", None, None, b"d"]


@contextlib.asynccontextmanager
async def cluster(folder):
    with reserve(2 * len(NODES)) as ports:
        listen = {node: f"127.0.0.1:{ports.take()}" for node in NODES}
        admin = {node: f"127.0.0.1:{ports.take()}" for node in NODES}
        peers = {
            node: {peer: address for peer, address in listen.items() if peer != node}
            for node in NODES
        }
        running = unwatched(ClusterSpec(NODES, folder, listen, admin, peers, engine="memory"))
        try:
            await running.start_all()
            yield running, listen
        finally:
            await running.stop_all()


class Driver:
    """Gives completions their indices, as a runner does."""

    def __init__(self, client, contexts):
        self.client, self.contexts, self.index = client, contexts, -1

    async def __call__(self, **fields):
        op = Op(index=self.index + 1, process=0, **fields)
        done, token = await self.client.invoke(op)
        self.index += 2
        done.index = self.index
        if done.type == "ok":
            self.contexts.remember(done.index, token)
        return done


@contextlib.asynccontextmanager
async def driver(addresses, **options):
    contexts = ContextCache()
    client = DynamoClient(contexts, **options)
    await client.open(addresses)
    try:
        yield Driver(client, contexts)
    finally:
        await client.close()


@pytest.mark.cluster
def test_a_client_reads_writes_and_deletes_with_contexts(tmp_path):
    async def run():
        async with cluster(tmp_path) as (_, addresses), driver(addresses) as do:
            empty = await do(f="get", key="k")
            assert (empty.type, empty.siblings, empty.node) == ("ok", [], "n1")
            first = await do(f="put", key="k", id="0.0", value=1, basis=empty.index)
            assert (first.type, first.value, first.id) == ("ok", None, "0.0")
            assert first.worth["replicas"] >= 2
            await do(f="put", key="k", id="0.1", value=2, basis=None)
            both = await do(f="get", key="k", node="n2")
            assert both.node == "n2"
            assert {(s.id, s.value) for s in both.siblings} == {("0.0", 1), ("0.1", 2)}
            over = await do(f="put", key="k", id="0.2", value={"x": [3]}, basis=first.index)
            read = await do(f="get", key="k")
            assert {s.id for s in read.siblings} == {"0.1", "0.2"}
            await do(f="delete", key="k", id="0.3", basis=read.index)
            gone = await do(f="get", key="k")
            assert gone.siblings == [Sibling("0.3", None, True)]
            assert over.error is None

    asyncio.run(asyncio.wait_for(run(), 240))


@pytest.mark.cluster
def test_a_forgotten_context_is_a_definite_failure_and_never_a_blind_write(tmp_path):
    async def run():
        async with cluster(tmp_path) as (_, addresses), driver(addresses) as do:
            done = await do(f="put", key="k", id="0.0", value=1, basis=77)
            assert (done.type, done.error.code, done.error.definite) == ("fail", EVICTED, True)
            assert (await do(f="get", key="k")).siblings == []

    asyncio.run(asyncio.wait_for(run(), 240))


@pytest.mark.cluster
def test_a_dead_node_is_a_failure_a_paused_one_is_in_doubt_and_the_next_one_serves(tmp_path):
    async def run():
        async with cluster(tmp_path) as (nodes, addresses):
            async with driver(addresses, number=1, timeout=5.0) as do:
                await nodes.kill("n2")
                refused = await do(f="get", key="k")
                assert (refused.type, refused.node) == ("fail", "n2")
                assert refused.error.code == "unreachable"
                served = await do(f="get", key="k")
                assert served.node == "n3"
                await nodes.start("n2")
                while (await do(f="get", key="k")).node != "n2":
                    await asyncio.sleep(0.05)
            async with driver(addresses, number=2, timeout=5.0) as do:
                assert (await do(f="get", key="k")).node == "n3"
                await nodes.pause("n3")
                lost = await do(f="put", key="k", id="0.0", value=1, basis=None)
                assert (lost.type, lost.error.code) == ("info", "timeout")
                assert not lost.error.definite
                await nodes.resume("n3")
                assert (await do(f="get", key="k", node="n1")).node == "n1"

    asyncio.run(asyncio.wait_for(run(), 240))


@pytest.mark.cluster
def test_a_hedged_write_is_one_write_with_two_answers(tmp_path):
    async def run():
        async with cluster(tmp_path) as (_, addresses), driver(addresses) as do:
            await do(f="get", key="k")
            for turn in range(20):
                id = f"0.{turn}"
                await do(f="put", key="k", id=id, value=1, basis=None, options={"hedge": True})
            while do.client._hedges:
                await asyncio.sleep(0.01)
            read = await do(f="get", key="k")
            assert sorted(s.id for s in read.siblings) == sorted(f"0.{turn}" for turn in range(20))

    asyncio.run(asyncio.wait_for(run(), 240))
