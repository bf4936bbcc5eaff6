"""Protocol buffers as bytes: the few wire types that a trace needs.

A message is its fields one after the other, each a number with a wire type and a value
(protobuf.dev, Encoding). Written here so that an export needs no package and no generated code.
"""

from __future__ import annotations

VARINT, FIXED64, BYTES = 0, 1, 2


def varint(value: int) -> bytes:
    """An unsigned number in groups of seven bits, the lowest first; a negative one as 64 bits."""
    value &= 0xFFFF_FFFF_FFFF_FFFF
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    found.append(value)
    return bytes(found)


def number(field: int, value: int) -> bytes:
    """A field with a number, a bool or an enum."""
    return varint(field << 3 | VARINT) + varint(value)


def fixed64(field: int, value: int) -> bytes:
    """A field of eight bytes."""
    return varint(field << 3 | FIXED64) + value.to_bytes(8, "little")


def block(field: int, value: bytes | str) -> bytes:
    """A field with a text or a message; what is not a character becomes a question mark."""
    content = value.encode("utf-8", "replace") if isinstance(value, str) else value
    return varint(field << 3 | BYTES) + varint(len(content)) + content
