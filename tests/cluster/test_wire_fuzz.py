"""A million frames that no correct peer sends: mutated, cut, joined, or made of nothing."""

from __future__ import annotations

import random
import struct
import sys
from collections.abc import Callable, Iterator

import pytest
from dynamesis.cluster.core.protocol.messages import Message
from dynamesis.cluster.net.wire import CLIENT_LIMIT, Decoder, WireError, encode
from dynamesis.cluster.process.interpreter import resident_bytes
from test_wire import SAMPLES

FRAMES = [encode(message) for message in SAMPLES]


def mutated(draw: random.Random) -> bytes:
    """A frame, or two, with some bytes changed, gone, doubled or new; the length usually
    is still right, so that the inside is parsed."""
    body = bytearray(draw.choice(FRAMES)[4:])
    for _ in range(draw.randrange(1, 6)):
        at = draw.randrange(len(body) + 1)
        match draw.randrange(6):
            case 0:
                body[at:at] = draw.randbytes(draw.randrange(1, 9))
            case 1:
                del body[at : at + draw.randrange(1, 9)]
            case 2:
                body[at : at + 1] = bytes([draw.choice(_MARKS)])
            case 3:
                other = draw.choice(FRAMES)
                body[at:] = other[draw.randrange(len(other)) :]
            case 4:
                body[at : at + 4] = struct.pack(">I", draw.getrandbits(32))
            case _:
                if body:
                    body[at % len(body)] ^= 1 << draw.randrange(8)
    length = len(body) if draw.random() < 0.9 else draw.getrandbits(draw.randrange(1, 33))
    return struct.pack(">I", length) + body


#: what msgpack begins strings, bytes, arrays, maps and extensions of claimed length with
_MARKS = (*range(0xC0, 0xE0), 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xFF)


def feed(data: bytes, draw: random.Random) -> int:
    """How many messages came out, before the end or a WireError; anything else is a crash. One by
    one and together the same come out, and the same error."""
    step = draw.randrange(1, len(data) + 1)
    pieces = [data[start : start + step] for start in range(0, len(data), step)]
    one_by_one = outcome(pieces, taken_one_by_one)
    assert one_by_one == outcome(pieces, Decoder.messages)
    return len(one_by_one[0])


def taken_one_by_one(decoder: Decoder, piece: bytes) -> Iterator[Message]:
    decoder.receive(piece)
    while (message := decoder.next()) is not None:
        yield message


def outcome(
    pieces: list[bytes], take: Callable[[Decoder, bytes], Iterator[Message]]
) -> tuple[list[bytes], str]:
    """The messages that come out of pieces of a stream, as frames, and the error at the end."""
    decoder, came = Decoder(CLIENT_LIMIT), list[bytes]()
    try:
        for piece in pieces:
            came.extend(map(encode, take(decoder, piece)))
        decoder.finish()
    except WireError as error:
        return came, str(error)
    return came, ""


def fuzz(frames: int, seed: int) -> tuple[int, int]:
    """(messages that were still understood, frames fed)."""
    draw = random.Random(seed)
    understood = fed = 0
    while fed < frames:
        some = draw.randrange(1, 4)
        understood += feed(b"".join(mutated(draw) for _ in range(some)), draw)
        fed += some
    return understood, fed


def test_no_frame_breaks_the_decoder() -> None:
    understood, fed = fuzz(20_000, seed=1)
    assert 0 < understood < fed, "the fuzzer only makes one kind of frame"


@pytest.mark.nightly
@pytest.mark.timeout(1800)
def test_a_million_frames_break_nothing_and_leave_nothing_behind() -> None:
    fuzz(100_000, seed=2)
    before, blocks = resident_bytes(), sys.getallocatedblocks()
    understood, fed = fuzz(1_000_000, seed=3)
    assert 0 < understood < fed
    assert sys.getallocatedblocks() - blocks < 5_000
    assert resident_bytes() - before < 16 << 20
