"""A client that goes straight to a primary, and what it may try again."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from dynamesis.cluster.client.client import Client, Connection, InDoubt, Unavailable
from dynamesis.cluster.client.routing import ClientDriven
from dynamesis.cluster.core.protocol.messages import (
    Get,
    GetReply,
    Locate,
    LocateReply,
    Put,
    PutReply,
    QuorumInfo,
    Refusal,
)
from dynamesis.cluster.process.cluster_spec import ClusterSpec
from dynamesis.cluster.process.supervisor import Cluster, unwatched
from dynamesis.harness.processes.ports import reserve
from node_world import in_loop
from test_client_library import HELLO, WORTH, Speaker, scripted

NAMES = ("n1", "n2", "n3", "n4")


@contextlib.asynccontextmanager
async def four(root: Path) -> AsyncIterator[tuple[Cluster, list[str]]]:
    with reserve(8) as ports:
        listen = {name: f"127.0.0.1:{ports.take()}" for name in NAMES}
        admin = {name: f"127.0.0.1:{ports.take()}" for name in NAMES}
        peers = {a: {b: listen[b] for b in NAMES if b != a} for a in NAMES}
        params = {"replica_timeout": 5.0, "request_timeout": 10.0}
        cluster = unwatched(ClusterSpec(NAMES, root, listen, admin, peers, params, "memory"))
        try:
            await cluster.start_all()
            yield cluster, list(listen.values())
        finally:
            await cluster.stop_all()


@pytest.mark.cluster
@in_loop
async def test_it_goes_straight_to_a_primary_and_on_when_that_is_gone(tmp_path: Path) -> None:
    async with (
        four(tmp_path) as (cluster, addresses),
        Client(addresses, client_driven=True, timeout=20.0) as store,
    ):
        keys = [b"k%d" % n for n in range(40)]
        for key in keys:
            put = await store.put(key, b"v")
            assert put.worth.coordinator == put.node, "the put was forwarded"
        assert len({(await store.get(key)).node for key in keys}) > 1
        await cluster.kill("n2")
        for key in keys:
            assert (await store.get(key)).values == (b"v",)
        route: Any = store._route
        assert isinstance(route, ClientDriven)
        assert route.fetches < 10, "it asks for a map again and again"


@pytest.mark.cluster
@in_loop
async def test_a_stale_map_costs_a_hop_and_is_fetched_again(tmp_path: Path) -> None:
    async with (
        four(tmp_path) as (_, addresses),
        Client(addresses, client_driven=True, timeout=20.0) as store,
    ):
        await store.get(b"k")
        route: Any = store._route
        right = route._primaries
        others = [tuple(n for n in NAMES if n not in names) for names in right]
        route._primaries = tuple(others)
        put = await store.put(b"k", b"v")
        assert put.worth.coordinator != put.node
        fetched = route.fetches

        async def fresh() -> bool:
            await store.get(b"k")
            return route.fetches > fetched and route._primaries == right

        for _ in range(200):
            if await fresh():
                break
            await asyncio.sleep(0.02)
        assert route._primaries == right
        put = await store.put(b"k", b"w")
        assert put.worth.coordinator == put.node


@in_loop
async def test_maps_that_send_all_elsewhere_do_not_loop() -> None:
    """A node that is always named, and never serves, is asked once an operation."""
    asked: list[object] = []

    async def script(speaker: Speaker) -> None:
        speaker.say(HELLO)
        await speaker.read_message()
        while True:
            message = await speaker.read_message()
            asked.append(message)
            if isinstance(message, Locate):
                speaker.say(LocateReply(message.rid, 1, (("n1",),) * 4))
            elif isinstance(message, Get):
                speaker.say(Refusal(message.rid, "not-ready", "never"))

    async with scripted(script) as address, Client([address], client_driven=True) as store:
        for _ in range(5):
            with pytest.raises(Unavailable):
                await store.get(b"k")
    assert sum(isinstance(m, Get) for m in asked) == 5
    assert sum(isinstance(m, Locate) for m in asked) <= 5


# ---- retries


@in_loop
async def test_what_was_refused_for_now_is_tried_again_under_the_same_request_id() -> None:
    names: list[str] = []

    async def script(speaker: Speaker) -> None:
        speaker.say(HELLO)
        await speaker.read_message()
        while isinstance(put := await speaker.read_message(), Put):
            names.append(put.request)
            if len(names) < 3:
                speaker.say(Refusal(put.rid, "overloaded", "later", 0.01))
            else:
                speaker.say(PutReply(put.rid, b"", WORTH))

    async with scripted(script) as address:
        async with Client([address], retries=2) as store:
            await store.put(b"k", b"v")
        assert len(names) == 3
        assert len(set(names)) == 1
        names.clear()
        async with Client([address], retries=1) as store:
            with pytest.raises(Unavailable):
                await store.put(b"k", b"v")
        assert len(names) == 2


@in_loop
async def test_a_put_in_doubt_is_sent_again_as_such_until_a_node_knows_it() -> None:
    """It stays in doubt, as at first, where no node does."""
    puts: list[Put] = []
    refusals = ["unreachable", "timeout", "overloaded", "forgotten"]

    async def script(speaker: Speaker) -> None:
        speaker.say(HELLO)
        await speaker.read_message()
        while isinstance(put := await speaker.read_message(), Put):
            puts.append(put)
            if len(puts) <= len(refusals):
                speaker.say(Refusal(put.rid, refusals[len(puts) - 1], "", 0.01))
            else:
                speaker.say(PutReply(put.rid, b"", WORTH))

    async with scripted(script) as address:
        async with Client([address], retries=4) as store:
            await store.put(b"k", b"v")
        assert [put.again for put in puts] == [False, False, True, True, True]
        assert len({put.request for put in puts}) == 1
        puts.clear()
        async with Client([address], retries=3) as store:
            with pytest.raises(InDoubt, match="timeout") as caught:
                await store.put(b"k", b"v")
        assert getattr(caught.value.__cause__, "code", None) == "forgotten"


@in_loop
async def test_a_get_in_doubt_is_simply_asked_again() -> None:
    gets = 0

    async def script(speaker: Speaker) -> None:
        nonlocal gets
        speaker.say(HELLO)
        await speaker.read_message()
        while isinstance(get := await speaker.read_message(), Get):
            gets += 1
            if gets < 3:
                speaker.say(Refusal(get.rid, "timeout", "slow"))
            else:
                speaker.say(GetReply(get.rid, (), b"", QuorumInfo(2, 2, 0, 0, "n1")))

    async with scripted(script) as address, Client([address], retries=2) as store:
        await store.get(b"k")
    assert gets == 3


@in_loop
async def test_a_get_whose_connection_ends_goes_to_the_next_node() -> None:
    """Without a retry: it changes nothing, so that it may be sent twice. A put may not."""

    async def hangs_up(speaker: Speaker) -> None:
        speaker.say(HELLO)
        await speaker.read_message()
        await speaker.read_message()

    async def answers(speaker: Speaker) -> None:
        speaker.say(HELLO)
        await speaker.read_message()
        while isinstance(get := await speaker.read_message(), Get):
            speaker.say(GetReply(get.rid, (), b"", QuorumInfo(2, 2, 0, 0, "n2")))

    async with scripted(hangs_up) as first, scripted(answers) as second:
        async with Client([first, second]) as store:
            assert (await store.get(b"k")).worth.coordinator == "n2"
        async with Client([first, second]) as store:
            with pytest.raises(InDoubt, match="disconnected"):
                await store.put(b"k", b"v")


@pytest.mark.cluster
@in_loop
async def test_a_put_whose_answer_was_lost_is_found_by_its_request(tmp_path: Path) -> None:
    """The coordinator is reached by way of a node that the client has not asked before."""
    async with four(tmp_path) as (cluster, addresses), Client(addresses) as store:
        done = await store.put(b"k", b"v")
        for address in addresses:
            connection = await Connection.open(address)
            found = await connection.put(
                b"k", b"v", request=f"{store._name}.1", again=True, timeout=20.0
            )
            assert found.worth.coordinator == done.worth.coordinator
            connection.close()
        assert len((await store.get(b"k")).siblings) == 1
        await cluster.kill(done.worth.coordinator)
        await cluster.start(done.worth.coordinator)
        connection = await Connection.open(addresses[NAMES.index(done.worth.coordinator)])
        with pytest.raises(InDoubt, match="forgotten"):
            await connection.put(b"k", b"v", request="never sent", again=True, timeout=20.0)
        connection.close()
        assert len((await store.get(b"k")).siblings) == 1


@in_loop
async def test_a_node_that_does_not_answer_is_left_for_the_next() -> None:
    """It may be stopped, with its connections open: no connection ends then."""

    async def answers(speaker: Speaker, most: int) -> None:
        speaker.say(HELLO)
        while True:
            message = await speaker.read_message()
            if isinstance(message, Get) and most:
                most -= 1
                speaker.say(GetReply(message.rid, (), b"", WORTH))

    async with (
        scripted(lambda speaker: answers(speaker, 1)) as first,
        scripted(lambda speaker: answers(speaker, 10)) as second,
        Client([first, second], timeout=60.0, hello_timeout=60.0) as store,
    ):
        await store.get(b"k")  # from here on it is connected
        store._timeout = 0.3
        with pytest.raises(InDoubt, match="no answer within"):
            await store.get(b"k")
        store._timeout = 60.0
        await store.get(b"k")
