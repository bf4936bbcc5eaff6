"""Replay tokens: at most 60 characters from which a drawn schedule is drawn again.

A token holds the seed, and what the swarm was to keep to: workloads, nemeses and bugs as bits in
the order of their tables. It begins with a check sum of these tables and of the version of the
drawing, so that a token of another version is refused, and not taken for another schedule. A
name of a user's own (FILE.py:NAME) does not fit in: it is marked, and must be given beside the
token, which has a check sum of such names, wherever the file is.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Sequence
from pathlib import PurePath

from dynamesis.cluster.zoo import BUGS
from dynamesis.harness.nemesis.catalogue import PACKAGES
from dynamesis.harness.simulation.schedules.draw import VERSION, SwarmScope
from dynamesis.harness.usage.exits import UsageError
from dynamesis.workloads import WORKLOADS

#: Characters of the longest.
LONGEST = 60
_PREFIX = "sim-"
_SUM = 3
_TABLES: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("workload", tuple(WORKLOADS)),
    ("nemesis", tuple(PACKAGES)),
    ("bug", tuple(BUGS)),
)


def encode(seed: int, wanted: SwarmScope) -> str:
    """The token of the schedule that `draw` draws of this."""
    number = _own_sum(wanted)
    for (_, table), names in zip(_TABLES, _parts(wanted), strict=True):
        bits = 0
        for name in names or ():
            bits |= 1 << (table.index(name) if name in table else len(table))
        number = number << (len(table) + 2) | bits << 1 | (names is None)
    number = number << 63 | seed
    body = number.to_bytes((number.bit_length() + 7) // 8 or 1, "big")
    text = base64.b32encode(_check(body) + body).decode("ascii").rstrip("=").lower()
    return _PREFIX + text


def beside(wanted: SwarmScope) -> tuple[str, ...]:
    """The flags that go with a token of this, for the names of a user's own."""
    return tuple(
        [
            f"--{title}={','.join(own)}"
            for (title, table), names in zip(_TABLES, _parts(wanted), strict=True)
            if (own := [name for name in names or () if name not in table])
        ]
    )


def is_current(token: str, wanted: SwarmScope) -> bool:
    """Whether this version draws what the token names, with the flags `beside` of this."""
    own = [
        names and tuple([name for name in names if name not in table])
        for (_, table), names in zip(_TABLES, _parts(wanted), strict=True)
    ]
    try:
        decode(token, SwarmScope(own[0], own[1], own[2] or ()))
    except UsageError:
        return False
    return True


def decode(token: str, beside: SwarmScope) -> tuple[int, SwarmScope]:
    """Seed and what was wanted. `beside`: where the names of a user's own come from. Raises
    UsageError."""
    number = int.from_bytes(_body(token), "big")
    seed, number = number & ((1 << 63) - 1), number >> 63
    parts: list[tuple[str, ...] | None] = []
    for (title, table), given in reversed(list(zip(_TABLES, _parts(beside), strict=True))):
        width = len(table) + 2
        field, number = number & ((1 << width) - 1), number >> width
        parts.append(None if field & 1 else _names(title, table, field >> 1, given))
        for name in sorted({*(given or ())} - {*(parts[-1] or ())}):
            raise UsageError(f"--{title}: the token is not of {name}; leave it out")
    if number != _own_sum(beside):
        names = ", ".join(_own(beside))
        raise UsageError(
            f"--replay: the token was made with other names of your own than {names}; give beside "
            "it just those that it was made with"
        )
    bug, nemeses, workloads = parts
    return seed, SwarmScope(workloads, nemeses, bug or ())


def _names(
    title: str, table: Sequence[str], bits: int, given: tuple[str, ...] | None
) -> tuple[str, ...]:
    own = tuple(name for name in given or () if name not in table)
    if bits >> len(table) and not own:
        raise UsageError(
            f"--replay: the token was made with a {title} of your own; give --{title} FILE.py:NAME "
            "beside it"
        )
    known = tuple(name for at, name in enumerate(table) if bits >> at & 1)
    return known + (own if bits >> len(table) else ())


def _own(wanted: SwarmScope) -> list[str]:
    """The names of a user's own, without where their files lie."""
    return [
        PurePath(name).name
        for (_, table), names in zip(_TABLES, _parts(wanted), strict=True)
        for name in names or ()
        if name not in table
    ]


def _own_sum(wanted: SwarmScope) -> int:
    """Of those names, 0 without any."""
    names = _own(wanted)
    return int.from_bytes(hashlib.sha256(repr(names).encode()).digest()[:2], "big") if names else 0


def _parts(wanted: SwarmScope) -> tuple[tuple[str, ...] | None, ...]:
    return wanted.workloads, wanted.nemeses, wanted.bug


def _check(body: bytes) -> bytes:
    tables = repr((VERSION, _TABLES)).encode()
    return hashlib.sha256(tables + body).digest()[:_SUM]


def _body(token: str) -> bytes:
    text = token.strip().lower()
    packed = text.removeprefix(_PREFIX).upper()
    try:
        if not text.startswith(_PREFIX) or len(text) > LONGEST:
            raise ValueError
        found = base64.b32decode(packed + "=" * (-len(packed) % 8))
    except (ValueError, binascii.Error):
        raise UsageError(
            f"--replay: {token[:LONGEST]!r} is neither a folder nor a token, which begins with "
            f"{_PREFIX} and has at most {LONGEST} letters and digits"
        ) from None
    if len(found) <= _SUM or _check(found[_SUM:]) != found[:_SUM]:
        raise UsageError(
            f"--replay: {token} is damaged, or of another version of dynamesis, which draws other "
            "schedules; replay the folder of the failure instead"
        )
    return found[_SUM:]
