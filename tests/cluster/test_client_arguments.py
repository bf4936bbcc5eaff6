"""What a client is asked for that cannot be right: refused before anything is sent."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from dynamesis.cluster.client.client import (
    BadRequest,
    Client,
    Closed,
    InDoubt,
    RequestOptions,
    highest,
    latest,
    union,
)
from dynamesis.cluster.core.protocol.messages import (
    Get,
    GetReply,
    Message,
    Put,
    PutReply,
    Version,
)
from dynamesis.cluster.net.exceptions import DynamoError
from dynamesis.cluster.net.wire import CLIENT_LIMIT
from node_world import in_loop
from test_client_library import HELLO, WORTH, Speaker, scripted


class Recording:
    """A script that answers everything and remembers it."""

    def __init__(self) -> None:
        self.received: list[Message] = []

    async def __call__(self, speaker: Speaker) -> None:
        speaker.say(HELLO)
        await speaker.read_message()
        while True:
            message = await speaker.read_message()
            self.received.append(message)
            if isinstance(message, Put):
                speaker.say(PutReply(message.rid, b"", WORTH))
            elif isinstance(message, Get):
                speaker.say(GetReply(message.rid, (Version(b"7"),), b"c", WORTH))


WRONG: dict[str, tuple[str, dict[str, Any]]] = {
    "key must be bytes or str, not int": ("get", {"key": 5}),
    "key must be bytes or str, not NoneType": ("delete", {"key": None}),
    "value must be bytes, not str; encode it first": ("put", {"key": b"k", "value": "v"}),
    "value must be bytes, not dict": ("put", {"key": b"k", "value": {}}),
    "note must be bytes, not int": ("delete", {"key": b"k", "note": 1}),
    "context must be bytes, not NoneType": ("put", {"key": b"k", "value": b"", "context": None}),
    "options must be dynamesis.cluster.client.client.RequestOptions, not dict": (
        "get",
        {"key": b"k", "options": {"r": 1}},
    ),
    "option r is '2'": ("get", {"key": b"k", "options": RequestOptions(r="2")}),  # type: ignore[arg-type]
    "option w is 1.5": (
        "put",
        {"key": b"k", "value": b"", "options": RequestOptions(w=1.5)},  # type: ignore[arg-type]
    ),
    "option n is True": ("get", {"key": b"k", "options": RequestOptions(n=True)}),
    "option timeout is 'soon'": (
        "get",
        {"key": b"k", "options": RequestOptions(timeout="soon")},  # type: ignore[arg-type]
    ),
    "request must be str, not int": ("put", {"key": b"k", "value": b"", "request": 7}),
    "request '\\ud800' cannot be written in UTF-8": (
        "put",
        {"key": b"k", "value": b"", "request": "\ud800"},
    ),
    "again must be bool, not str": ("put", {"key": b"k", "value": b"", "again": "yes"}),
    "option dw is 18446744073709551616": (
        "put",
        {"key": b"k", "value": b"", "options": RequestOptions(dw=1 << 64)},
    ),
    "option sloppy is 1": ("get", {"key": b"k", "options": RequestOptions(sloppy=1)}),  # type: ignore[arg-type]
}


@pytest.mark.parametrize("message", WRONG)
@in_loop
async def test_what_is_of_the_wrong_type_is_never_sent(message: str) -> None:
    f, arguments = WRONG[message]
    node = Recording()
    async with scripted(node) as address, Client([address]) as store:
        with pytest.raises(BadRequest) as caught:
            await getattr(store, f)(**arguments)
        assert message in caught.value.message
        assert (caught.value.code, caught.value.definite) == ("bad-request", True)
        await store.get("k")
    assert [type(received) for received in node.received] == [Get]


@in_loop
async def test_text_as_a_key_is_utf_8_and_any_buffer_a_value() -> None:
    node = Recording()
    async with scripted(node) as address, Client([address]) as store:
        await store.put("größe", bytearray(b"v"))
    (put,) = node.received
    assert isinstance(put, Put)
    assert (put.key, put.value) == ("größe".encode(), b"v")


@pytest.mark.parametrize(
    ("arguments", "kind", "message"),
    [
        ({"addresses": []}, ValueError, "the address of one node at least"),
        ({"addresses": "127.0.0.1:1"}, TypeError, "addresses must be a list"),
        ({"addresses": ["127.0.0.1"]}, ValueError, "'127.0.0.1' is not an address"),
        ({"addresses": ["a:0"]}, ValueError, "port 1 to 65535"),
        ({"addresses": ["a..b:1"]}, ValueError, "'a..b:1' is not an address"),
        ({"addresses": [("a", 1)]}, TypeError, "an address is text"),
        ({"addresses": ["a:1", "a:1"]}, ValueError, "comes twice"),
        ({"timeout": 0}, ValueError, "timeout is 0; it must be above 0 s"),
        ({"timeout": float("nan")}, ValueError, "timeout is nan"),
        ({"hello_timeout": "1"}, TypeError, "hello_timeout is a number of seconds"),
        ({"secret": b"s"}, TypeError, "secret is text, not bytes"),
        ({"secret": "\ud800"}, ValueError, "secret is text that cannot be written in UTF-8"),
        ({"cluster": None}, TypeError, "cluster is text, not NoneType"),
        ({"retries": 1.5}, TypeError, "retries is a whole number"),
        ({"retries": -1}, ValueError, "retries is -1"),
    ],
)
def test_a_client_that_cannot_work_is_not_made(
    arguments: dict[str, Any], kind: type[Exception], message: str
) -> None:
    with pytest.raises(kind, match=message):
        Client(**({"addresses": ["127.0.0.1:7101"]} | arguments))


@pytest.mark.parametrize(
    ("part", "code"),
    [("key", "key-too-large"), ("value", "value-too-large"), ("context", "bad-context")],
)
@in_loop
async def test_what_no_frame_takes_is_named(part: str, code: str) -> None:
    node = Recording()
    put = {"key": b"k", "value": b"v"} | {part: bytes(CLIENT_LIMIT)}
    async with scripted(node) as address, Client([address]) as store:
        with pytest.raises(BadRequest) as caught:
            await store.put(**put)
        assert (caught.value.code, caught.value.definite) == (code, True)
    assert not node.received


@pytest.mark.parametrize("client_driven", [False, True])
@in_loop
async def test_a_closed_client_reports_it(client_driven: bool) -> None:
    async with scripted(Recording()) as address:
        store = Client([address], client_driven=client_driven, retries=3)
        await store.get(b"k")
        store.close()
        for operation in (store.get(b"k"), store.put(b"k", b"v")):
            with pytest.raises(Closed, match="this client was closed") as caught:
                await operation
            assert caught.value.definite


@in_loop
async def test_what_is_under_way_when_a_client_is_closed_is_in_doubt() -> None:
    async def silent(speaker: Speaker) -> None:
        speaker.say(HELLO)
        await speaker.read_message()
        assert isinstance(await speaker.read_message(), Put)
        store.close()
        await asyncio.sleep(5)

    async with scripted(silent) as address:
        store = Client([address], retries=3)
        with pytest.raises(InDoubt, match="disconnected: closed by this client"):
            await store.put(b"k", b"v")


@in_loop
async def test_a_client_that_is_closed_while_it_dials_leaves_no_connection() -> None:
    dialled = asyncio.Event()
    hung_up = asyncio.Event()

    async def slow(speaker: Speaker) -> None:
        dialled.set()
        await asyncio.sleep(0.05)
        speaker.say(HELLO)
        try:
            await speaker.read_message()
            await speaker.read_message()
        except AssertionError:
            hung_up.set()

    async with scripted(slow) as address:
        store = Client([address])
        put = asyncio.ensure_future(store.put(b"k", b"v"))
        await dialled.wait()
        store.close()
        with pytest.raises(DynamoError) as caught:
            await put
        assert caught.value.code == "closed"
        await asyncio.wait_for(hung_up.wait(), 60)


@in_loop
async def test_a_longer_timeout_of_a_request_is_waited_for() -> None:
    """The client's own would be over long before the answer comes."""

    async def slow(speaker: Speaker) -> None:
        speaker.say(HELLO)
        await speaker.read_message()
        while isinstance(get := await speaker.read_message(), Get):
            await asyncio.sleep(0.4)
            speaker.say(GetReply(get.rid, (), b"", WORTH))

    async with scripted(slow) as address, Client([address], timeout=0.1) as store:
        await store.get(b"k", options=RequestOptions(timeout=60.0))  # from here on it is connected
        with pytest.raises(InDoubt, match="no answer within"):
            await store.get(b"k")
        # the first answer is still on its way, and is dropped
        await store.get(b"k", options=RequestOptions(timeout=60.0))


# ---- merging


def versions(*values: bytes) -> list[Version]:
    return [Version(value) for value in values]


GONE = Version(b"note", deleted=True)


@pytest.mark.parametrize(
    ("merge", "values", "result"),
    [
        (union, [b'["b", "a"]', b'["c", "a"]', b"[]"], b'["a", "b", "c"]'),
        (union, [b'[{"a": 1, "b": 2}]', b'[{"b": 2, "a": 1}]'], b'[{"a": 1, "b": 2}]'),
        (union, [], b"[]"),
        (highest(int), [b"9", b"10", b"-3"], b"10"),
        (highest(len), [b"aa", b"bb", b"c"], b"bb"),
        (highest(int, b"0"), [], b"0"),
        (latest(), [b'{"time": 5, "x": "new"}', b'{"time": 1}'], b'{"time": 5, "x": "new"}'),
        (latest("at"), [], b"{}"),
    ],
)
def test_ways_to_merge_are_joins(merge: Any, values: list[bytes], result: bytes) -> None:
    siblings = versions(*values)
    assert merge(siblings) == result
    assert merge([*siblings[::-1], GONE]) == result
    if values:
        halves = versions(merge(siblings[:1]), merge(siblings[1:] or siblings))
        assert merge(halves + halves) == result


def test_a_value_that_cannot_be_merged_is_reported() -> None:
    with pytest.raises(ValueError, match="is not a JSON array"):
        union(versions(b'{"a": 1}'))


@in_loop
async def test_an_update_merges_then_changes_and_what_that_raises_comes_through() -> None:
    node = Recording()
    async with scripted(node) as address, Client([address]) as store:
        await store.update(b"k", highest(int), lambda value: b"%d" % (int(value) + 1))
        with pytest.raises(ValueError, match="not a JSON array"):
            await store.update(b"k", union)
        with pytest.raises(BadRequest, match="value must be bytes, not int"):
            await store.update(b"k", lambda siblings: 7)  # type: ignore[arg-type, return-value]
    puts = [message for message in node.received if isinstance(message, Put)]
    assert [(put.value, put.context) for put in puts] == [(b"8", b"c")]
