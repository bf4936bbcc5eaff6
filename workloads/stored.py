"""What stands in the store for a version: JSON that carries the version's id.

Tombstones carry the id as well. Whatever cannot be read as such a version is shown under
an id that nobody wrote, so that the checkers report it as a phantom instead of the reader
breaking on it.
"""

from __future__ import annotations

from typing import Any

import msgspec

from checkers.op import Sibling


class _Stored(msgspec.Struct):
    id: str
    value: Any = None


_decoder = msgspec.json.Decoder(_Stored)


def encode(id: str, value: Any = None) -> bytes:
    """The bytes to store for the version `id` of this JSON value."""
    return msgspec.json.encode(_Stored(id, value))


def decode(data: bytes, deleted: bool) -> Sibling:
    """The version that stored bytes stand for. Never raises: undecodable bytes become the
    id "?" with their first 32 bytes in hex."""
    try:
        stored = _decoder.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return Sibling("?" + data[:32].hex(), None, deleted)
    return Sibling(stored.id, None if deleted else stored.value, deleted)
