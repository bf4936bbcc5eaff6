from __future__ import annotations

import contextlib
import struct
import tracemalloc
import typing

import msgspec
import pytest
from dynamesis.cluster.core.protocol.messages import (
    Ask,
    Entry,
    Get,
    GetReply,
    Hello,
    Key,
    Life,
    Message,
    Ping,
    Put,
    QuorumInfo,
    Reap,
    ReapReply,
    Refusal,
    ReplicaPut,
    TreeLeavesReply,
    Version,
)
from dynamesis.cluster.net.wire import (
    CLIENT_LIMIT,
    NODE_LIMIT,
    Decoder,
    Unwanted,
    WireError,
    encode,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.examples import examples

STATE = {"n1:0:1": Entry(3, ((3, Version(b"v")), (2, Version(b"", True))), (5,))}
SAMPLES: list[Message] = [
    Hello("n1", "c"),
    Get(1, b"\x00\xff"),
    Put(2, "r", b"k", b"v" * 300, b"context", True),
    GetReply(3, (Version(b"a"), Version(b"b", True)), b"c", QuorumInfo(2, 2, 0, 0, "n1")),
    Refusal(4, "overloaded", "no", 0.5),
    ReplicaPut(5, b"k", STATE, "n2"),
    Ping(6, Life(1 << 47, 3)),
    Reap(7, "fence", "n1 4", 2, {b"k": 1 << 63}),
    ReapReply(7, (b"k",)),
    TreeLeavesReply(6, {0: {1: 2**64 - 1}}),
    Ask(7, "dump", {"after": ["objects", b"\x00"], "limit": 5}),
]


def drain(decoder: Decoder) -> list[Message]:
    messages = []
    while (message := decoder.next()) is not None:
        messages.append(message)
    return messages


class _EarlierReplicaPut(
    msgspec.Struct, array_like=True, frozen=True, tag="ReplicaPut", tag_field="type"
):
    """A copy as nodes sent and took it that knew of no digest."""

    rid: int
    key: bytes
    state: dict[str, Entry]
    hint_for: str | None = None
    why: str = "put"
    durable: bool = True
    request: str = ""


def test_nodes_that_know_of_no_digest_send_and_take_copies() -> None:
    earlier = _EarlierReplicaPut(5, b"k", STATE, None, "put", True, "r")
    decoded = msgspec.msgpack.decode(msgspec.msgpack.encode(earlier), type=Message)
    assert decoded == ReplicaPut(5, b"k", STATE, None, "put", True, "r", 0)
    sent = encode(ReplicaPut(5, b"k", STATE, None, "put", True, "r", 1 << 63))
    assert msgspec.msgpack.decode(sent[4:], type=_EarlierReplicaPut) == earlier


def test_every_kind_of_message_comes_back_as_it_was() -> None:
    decoder = Decoder(NODE_LIMIT)
    decoder.receive(b"".join(map(encode, SAMPLES)))
    assert drain(decoder) == SAMPLES
    decoder.finish()


def test_every_message_has_a_tag_of_its_own() -> None:
    kinds = typing.get_args(Message)
    assert len(kinds) == 30
    assert len({kind.__struct_config__.tag for kind in kinds}) == len(kinds)


@settings(deadline=None)
@given(st.lists(st.sampled_from(SAMPLES), max_size=6), st.data())
def test_where_the_stream_is_cut_does_not_matter(
    messages: list[Message], data: st.DataObject
) -> None:
    stream = b"".join(map(encode, messages))
    one_by_one, together = Decoder(NODE_LIMIT), Decoder(NODE_LIMIT)
    seen: list[Message] = []
    while stream:
        cut = data.draw(st.integers(1, len(stream)))
        one_by_one.receive(stream[:cut])
        came = drain(one_by_one)
        assert list(together.messages(stream[:cut])) == came
        assert (together.taken, together.pending) == (one_by_one.taken, one_by_one.pending)
        seen += came
        stream = stream[cut:]
    assert seen == messages


def test_of_messages_that_came_together_the_longest_is_known() -> None:
    """Also where it began earlier, and short ones follow."""
    decoder, big = Decoder(NODE_LIMIT), encode(Put(1, "r", b"k", b"v" * 9000))
    stream = big + encode(Ping(2))
    assert len(list(decoder.messages(stream))) == 2
    assert decoder.length >= 9000
    assert list(decoder.messages(encode(Ping(3)))) == [Ping(3)]
    assert decoder.length < 100
    assert list(decoder.messages(stream[:100])) == []
    assert len(list(decoder.messages(stream[100:]))) == 2
    assert decoder.length >= 9000


@pytest.mark.parametrize("cut", [0, 5])
def test_whether_more_came_than_was_asked_for_is_known(cut: int) -> None:
    """However it was cut: a connection that has sent more may be closed for it."""
    decoder, data = Decoder(CLIENT_LIMIT), encode(Get(1, b"k")) * 3
    assert not [*decoder.messages(data[:cut])]
    assert len([*decoder.messages(data[cut:], 3)]) == 3
    assert (decoder.more, decoder.pending) == (False, 0)
    assert not [*decoder.messages(data[:cut])]
    assert len([*decoder.messages(data[cut:], 2)]) == 2
    assert (decoder.more, decoder.pending) == (True, len(data) // 3)


def test_a_limit_may_change_between_two_messages_that_came_together() -> None:
    decoder = Decoder(100)
    big = Put(1, "r", b"k", b"v" * 1000)
    decoder.receive(encode(Hello("n1", "c")) + encode(big))
    assert isinstance(decoder.next(), Hello)
    decoder.limit = CLIENT_LIMIT
    assert decoder.next() == big


def frame(body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + body


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (struct.pack(">I", CLIENT_LIMIT + 1), "2097153 bytes is announced, the limit is 2097152"),
        (b"\xff\xff\xff\xff", "4294967295 bytes is announced"),
        (b"GET / HTTP/1.1\r\n\r\n", "is announced, the limit is"),
        (frame(b""), "not a message"),
        (frame(msgspec.msgpack.encode(["Nonsense", 1])), "Nonsense"),
        (frame(msgspec.msgpack.encode(["Get", "one", b"k"])), "Expected `int`, got `str`"),
        (frame(msgspec.msgpack.encode(["Get"])), "not a message"),
        (frame(msgspec.msgpack.encode({"rid": 1})), "got `object`"),
        (frame(b"\x93\xaaTreeLeaves\x01\xdf\xff\xff\xff\xff"), "truncated"),
        (frame(b"\x94\xa3Ask\x01\xa1x\x81\xa1k" + b"\x91" * 50_000), "recursion"),
        (frame(b"\x94\xa3Ask\x01\xa2\xff\xfe\x80"), "utf-8"),
    ],
)
def test_what_is_wrong_is_reported(data: bytes, reason: str) -> None:
    decoder = Decoder(CLIENT_LIMIT)
    decoder.receive(encode(Ping(1)) + data)
    assert decoder.next() == Ping(1)
    with pytest.raises(WireError, match=reason):
        decoder.next()


#: lists in a list, which take eighty times their bytes once they are decoded
MANY = b"\xdd" + struct.pack(">I", 1 << 20) + b"\x90" * (1 << 20)


@pytest.mark.parametrize("cut", [0, 5])
def test_of_what_a_connection_does_not_take_only_the_kind_and_the_number_are_looked_at(
    cut: int,
) -> None:
    # seen: 2 MiB of what only administrators may ask took a node 0.4 s and 169 MiB
    body = b"\x94\xa3Ask\x07\xa1a\x81\xa1a" + MANY
    get, hello = Get(1, Key(b"k")), Hello("n1", "c")
    data = encode(get) + struct.pack(">I", len(body)) + body + encode(hello) + encode(get)
    decoder = Decoder(CLIENT_LIMIT)
    decoder.take_only(frozenset((Get, Put)))
    assert not [*decoder.messages(data[:cut])]
    tracemalloc.start()
    try:
        found = [*decoder.messages(data[cut:])]
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert found == [get, Unwanted("Ask", 7), Unwanted("Hello"), get]
    assert peak < 8 << 20, "what came, and its copy; 80 MiB if all lists are made"
    assert decoder.taken == 4


@pytest.mark.parametrize(
    "body",
    [
        b"\x94\xa4None\x01\xa1k\x90",
        b"\x93\xa3Get\x01\x05\x90",
        b"\x92\xa3Ask",
        b"\x92\x05\x01",
        b"",
    ],
)
def test_what_cannot_be_a_message_is_not_taken_for_an_unwanted_one(body: bytes) -> None:
    decoder = Decoder(CLIENT_LIMIT)
    decoder.take_only(frozenset((Get, Put)))
    with pytest.raises(WireError, match="is not a message"):
        list(decoder.messages(struct.pack(">I", len(body)) + body))


def test_half_a_frame_at_the_end_is_an_error() -> None:
    decoder = Decoder(CLIENT_LIMIT)
    decoder.receive(encode(Ping(1)) + encode(Ping(2))[:-1])
    assert drain(decoder) == [Ping(1)]
    with pytest.raises(WireError, match=rf"ended {len(encode(Ping(2))) - 1} bytes into a frame"):
        decoder.finish()


def test_a_message_over_the_limit_is_not_sent() -> None:
    with pytest.raises(WireError, match=r"Put takes 2097\d+ bytes, the limit of a frame is"):
        encode(Put(1, "r", b"k", b"v" * CLIENT_LIMIT), CLIENT_LIMIT)


def survives(data: bytes) -> None:
    """Whatever comes in: messages, then silence or a WireError, and never anything else."""
    decoder = Decoder(CLIENT_LIMIT)
    decoder.receive(data)
    with contextlib.suppress(WireError):
        for message in drain(decoder):
            assert isinstance(message, typing.get_args(Message))
        decoder.finish()


@settings(max_examples=examples(100), deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_are_survived(data: bytes) -> None:
    survives(data)


@settings(max_examples=examples(100), deadline=None)
@given(st.binary(max_size=200))
def test_any_body_is_survived(body: bytes) -> None:
    survives(frame(body))


@settings(max_examples=examples(150), deadline=None)
@given(st.lists(st.sampled_from(SAMPLES), min_size=1, max_size=3), st.data())
def test_mutilated_frames_are_survived(messages: list[Message], data: st.DataObject) -> None:
    stream = bytearray(b"".join(map(encode, messages)))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(stream) - 1))
        length = data.draw(st.integers(0, 3))
        stream[at : at + length] = data.draw(st.binary(max_size=3))
        if not stream:
            return
    survives(bytes(stream))


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.binary()
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=12,
)  # fmt: skip


@settings(max_examples=examples(150), deadline=None)
@given(
    st.sampled_from(typing.get_args(Message)).map(lambda kind: kind.__name__),
    st.lists(PLAIN, max_size=6),
)
def test_right_tags_with_wrong_fields_are_survived(tag: str, fields: list[object]) -> None:
    survives(frame(msgspec.msgpack.encode([tag, *fields])))
