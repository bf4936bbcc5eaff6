"""The library against a real node, and against a scripted one that dies at bad moments."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import dynamesis.cluster.client.client
import pytest
from dynamesis.cluster.client.client import (
    BadRequest,
    Client,
    Closed,
    Connection,
    DynamoError,
    InDoubt,
    NoQuorum,
    RequestOptions,
    StorageFailure,
    Unavailable,
    Unreachable,
    Version,
    union,
)
from dynamesis.cluster.core.protocol.errors import ERRORS
from dynamesis.cluster.core.protocol.messages import (
    Get,
    GetReply,
    Hello,
    Message,
    Pong,
    Put,
    PutReply,
    QuorumInfo,
    Refusal,
)
from dynamesis.cluster.net.exceptions import failure
from dynamesis.cluster.net.wire import NODE_LIMIT, Decoder, encode
from dynamesis.harness.processes.ports import reserve
from node_world import NodeAlone, ended, in_loop

HELLO = Hello("n1", "dynamesis")
WORTH = QuorumInfo(1, 1, 1, 0, "n1")


class Speaker:
    """One accepted connection, for a script to use."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._decoder = Decoder(NODE_LIMIT)

    def say(self, message: Message) -> None:
        self._writer.write(encode(message))

    async def read_message(self) -> Message:
        while (message := self._decoder.next()) is None:
            data = await self._reader.read(65536)
            assert data, "the client hung up"
            self._decoder.receive(data)
        return message

    def hang_up(self) -> None:
        self._writer.close()


Script = Callable[[Speaker], Awaitable[None]]


@asynccontextmanager
async def scripted(script: Script) -> AsyncIterator[str]:
    """A server that follows `script` on every connection; yields its address."""

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await script(Speaker(reader, writer))
        finally:
            writer.close()

    with reserve(1) as ports:
        port = ports.take()
        server = await asyncio.start_server(accept, "127.0.0.1", port)
        try:
            yield f"127.0.0.1:{port}"
        finally:
            server.close()


async def fails(address: str, timeout: float = 5.0) -> DynamoError:
    async with Client([address], timeout=timeout, hello_timeout=0.3) as store:
        with pytest.raises(DynamoError) as caught:
            await store.put(b"k", b"v")
        return caught.value


# ---- what is definite


@in_loop
async def test_no_one_listens() -> None:
    with reserve(1) as ports:
        error = await fails(f"127.0.0.1:{ports.take()}")
    assert isinstance(error, Unreachable)
    assert error.definite


@in_loop
async def test_the_connection_ends_before_hello() -> None:
    async def script(speaker: Speaker) -> None:
        speaker.hang_up()

    async with scripted(script) as address:
        error = await fails(address)
    assert (error.code, error.definite, error.node) == ("unreachable", True, address)


@in_loop
async def test_hello_does_not_come() -> None:
    async def script(speaker: Speaker) -> None:
        await asyncio.sleep(5)

    async with scripted(script) as address:
        error = await fails(address)
        assert (error.code, error.message) == ("unreachable", "no HELLO within 0.3 s")
        error = await fails(address, timeout=0.1)
        assert (error.code, error.message) == ("unreachable", "no connection in time")


@in_loop
async def test_another_cluster_is_not_talked_to() -> None:
    async def script(speaker: Speaker) -> None:
        speaker.say(Hello("n1", "other"))
        await asyncio.sleep(5)

    async with scripted(script) as address:
        error = await fails(address)
        assert "this is cluster 'other'" in error.message
        assert error.definite
        (await Connection.open(address, cluster="")).close()


@in_loop
async def test_the_connection_ends_after_the_request() -> None:
    async def script(speaker: Speaker) -> None:
        speaker.say(HELLO)
        await speaker.read_message()
        assert isinstance(await speaker.read_message(), Put)
        speaker.hang_up()

    async with scripted(script) as address:
        error = await fails(address)
    assert isinstance(error, InDoubt)
    assert (error.code, error.definite, error.node) == ("disconnected", False, "n1")


@in_loop
async def test_the_answer_does_not_come() -> None:
    async def script(speaker: Speaker) -> None:
        speaker.say(HELLO)
        await asyncio.sleep(5)

    async with scripted(script) as address:
        error = await fails(address, timeout=0.2)
    assert isinstance(error, InDoubt)
    assert (error.code, error.definite) == ("timeout", False)


@in_loop
async def test_the_node_gives_the_reason_of_hanging_up() -> None:
    async def script(speaker: Speaker) -> None:
        speaker.say(HELLO)
        await speaker.read_message()
        await speaker.read_message()
        speaker.say(Refusal(0, "bad-request", "a frame is not a message"))
        speaker.hang_up()

    async with scripted(script) as address:
        error = await fails(address)
    assert (error.code, error.definite) == ("disconnected", False)
    assert "a frame is not a message" in error.message


@in_loop
async def test_an_answer_of_the_wrong_kind_proves_nothing() -> None:
    async def script(speaker: Speaker) -> None:
        speaker.say(HELLO)
        await speaker.read_message()
        put = await speaker.read_message()
        assert isinstance(put, Put)
        speaker.say(Pong(put.rid))
        await asyncio.sleep(5)

    async with scripted(script) as address:
        assert not (await fails(address)).definite


GROUPS = {
    BadRequest: {
        "bad-request",
        "bad-context",
        "key-too-large",
        "value-too-large",
        "too-many-siblings",
    },
    Unavailable: {"overloaded", "stopping", "not-ready"},
    Unreachable: {"unreachable"},
    NoQuorum: {"no-coordinator", "too-many-hops", "read-quorum", "write-quorum"},
    StorageFailure: {"storage-read", "storage-write"},
    InDoubt: {"timeout", "disconnected", "forward-lost", "forgotten"},
    Closed: {"closed"},
}


def test_every_error_of_the_table_has_its_class() -> None:
    assert set().union(*GROUPS.values()) == set(ERRORS)
    for group, codes in GROUPS.items():
        for code in codes:
            error = failure(code, "m", "n1", 0.5)
            assert type(error) is group
            assert error.definite == ERRORS[code].definite
            assert (error.code, error.node, error.retry_after) == (code, "n1", 0.5)


def test_an_unknown_error_is_not_definite() -> None:
    error = failure("new-in-the-next-version", "m")
    assert type(error) is DynamoError
    assert not error.definite


@in_loop
async def test_a_refusal_becomes_its_exception() -> None:
    async def script(speaker: Speaker) -> None:
        speaker.say(HELLO)
        await speaker.read_message()
        put = await speaker.read_message()
        assert isinstance(put, Put)
        speaker.say(Refusal(put.rid, "overloaded", "full", 0.25))
        await asyncio.sleep(5)

    async with scripted(script) as address:
        error = await fails(address)
    assert isinstance(error, Unavailable)
    assert (error.message, error.node, error.retry_after) == ("full", "n1", 0.25)


# ---- how it continues


@in_loop
async def test_answers_find_their_questions_in_any_order() -> None:
    async def script(speaker: Speaker) -> None:
        speaker.say(HELLO)
        await speaker.read_message()
        gets = [await speaker.read_message() for _ in range(3)]
        for get in reversed(gets):
            assert isinstance(get, Get)
            speaker.say(GetReply(get.rid, (Version(get.key),), b"", WORTH))
        await asyncio.sleep(5)

    async with scripted(script) as address:
        connection = await Connection.open(address)
        keys = [b"a", b"b", b"c"]
        results = await asyncio.gather(*(connection.get(key) for key in keys))
        assert [result.values for result in results] == [(key,) for key in keys]
        connection.close()


@in_loop
async def test_a_node_that_does_not_serve_is_left_for_the_next() -> None:
    async def stopping(speaker: Speaker) -> None:
        speaker.say(HELLO)
        await speaker.read_message()
        while isinstance(put := await speaker.read_message(), Put):
            speaker.say(Refusal(put.rid, "stopping", "bye"))

    names: list[str] = []

    async def serving(speaker: Speaker) -> None:
        speaker.say(Hello("n2", "dynamesis"))
        await speaker.read_message()
        while isinstance(put := await speaker.read_message(), Put):
            names.append(put.request)
            speaker.say(PutReply(put.rid, b"", WORTH))

    with reserve(1) as ports:
        dead = f"127.0.0.1:{ports.take()}"
        async with (
            scripted(stopping) as first,
            scripted(serving) as second,
            Client([dead, first, second]) as store,
        ):
            assert (await store.put(b"k", b"v")).node == "n2"
            assert (await store.put(b"k", b"v")).node == "n2"
    assert len(set(names)) == 2


@in_loop
async def test_what_is_in_doubt_is_not_repeated() -> None:
    puts = 0

    async def script(speaker: Speaker) -> None:
        nonlocal puts
        speaker.say(HELLO)
        await speaker.read_message()
        await speaker.read_message()
        puts += 1

    async with (
        scripted(script) as first,
        scripted(script) as second,
        Client([first, second]) as store,
    ):
        with pytest.raises(InDoubt):
            await store.put(b"k", b"v")
    assert puts == 1


@in_loop
async def test_it_reconnects() -> None:
    async def script(speaker: Speaker) -> None:
        speaker.say(HELLO)
        await speaker.read_message()
        put = await speaker.read_message()
        assert isinstance(put, Put)
        speaker.say(PutReply(put.rid, b"", WORTH))

    async with scripted(script) as address, Client([address]) as store:
        done = 0
        for _ in range(6):
            try:
                await store.put(b"k", b"v")
                done += 1
            except InDoubt:  # the end of the last connection was not seen yet
                await asyncio.sleep(0.01)
        assert done >= 3


# ---- the real thing


@pytest.mark.cluster
@in_loop
async def test_the_example_of_the_documentation_runs(tmp_path: Path) -> None:
    text = str(dynamesis.cluster.client.client.__doc__)
    example = text[text.index("    async with") : text.index("A get may")]
    listed = '["127.0.0.1:7101", "127.0.0.1:7102"]'
    assert listed in example
    with reserve(2) as ports, ended(NodeAlone(tmp_path, ports.take(), ports.take())) as node:
        node.start()
        await node.ready()
        scope: dict[str, Any] = {"Client": Client, "union": union, "json": json}
        exec(f"async def run():\n{example.replace(listed, repr([node.address]))}", scope)
        await scope["run"]()
        async with Client([node.address]) as store:
            assert (await store.get("cart")).values == (b'["book", "pen"]',)


@pytest.mark.cluster
@in_loop
async def test_a_life_with_the_library(tmp_path: Path) -> None:
    with reserve(2) as ports, ended(NodeAlone(tmp_path, ports.take(), ports.take())) as node:
        node.start()
        await node.ready()
        async with Client([node.address]) as store:
            nothing = await store.get(b"cart")
            assert (nothing.siblings, nothing.values, nothing.node) == ((), (), "n1")
            await store.put(b"cart", b'["book"]')
            await store.put(b"cart", b'["pen"]')
            read = await store.get(b"cart")
            assert sorted(read.values) == [b'["book"]', b'["pen"]']
            assert read.worth.coordinator == "n1"
            merged = await store.update(b"cart", union)
            assert (await store.get(b"cart")).values == (b'["book", "pen"]',)
            await store.put(b"cart", b'["late"]', context=read.context)
            assert len((await store.get(b"cart")).values) == 2
            replaced = await store.put(
                b"cart", b"[]", context=merged.context, options=RequestOptions(return_body=True)
            )
            assert {v.value for v in replaced.siblings} == {b'["late"]', b"[]"}
            read = await store.get(b"cart")
            await store.delete(b"cart", context=read.context, note=b"gone")
            gone = await store.get(b"cart")
            assert gone.values == ()
            assert gone.siblings == (Version(b"gone", True),)
            with pytest.raises(BadRequest) as caught:
                await store.put(b"other", b"v", context=read.context)
            assert caught.value.code == "bad-context"
