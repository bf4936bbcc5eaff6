"""The stored form of a version: JSON that carries the version's id.

Tombstones carry the id as well. Whatever cannot be read as such a version is shown under
an id that was never written, so that the checkers report it as a phantom instead of the reader
breaking on it. A value {"pad": n, ...} is stored with n bytes of padding, which the
history does without.
"""

from __future__ import annotations

from typing import Any

import msgspec
from dynamesis.checkers.history.op import Sibling


class _Stored(msgspec.Struct, omit_defaults=True):
    id: str
    value: Any = None
    padding: str = ""


_decoder = msgspec.json.Decoder(_Stored)


def encode(id: str, value: Any = None) -> bytes:
    """The bytes to store for the version `id` of this JSON value."""
    return msgspec.json.encode(_Stored(id, value, _padding(id, value)))


def decode(data: bytes, deleted: bool) -> Sibling:
    """The version in stored bytes. Never raises: undecodable bytes become the
    id "?" with their first 32 bytes in hex; a value whose padding is not as it was written
    shows its length as "padded"."""
    try:
        stored = _decoder.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return Sibling("?" + data[:32].hex(), None, deleted)
    value = stored.value
    if stored.padding != _padding(stored.id, value):
        value = {"value": value, "padded": len(stored.padding)}
    return Sibling(stored.id, None if deleted else value, deleted)


def _padding(id: str, value: Any) -> str:
    """Padding that differs from version to version, so that no two can be mixed up."""
    pad = value.get("pad") if isinstance(value, dict) else None
    if not isinstance(pad, int) or pad <= 0:
        return ""
    pattern = f"{id}/"
    return (pattern * (pad // len(pattern) + 1))[:pad]
