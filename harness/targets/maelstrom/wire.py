"""How each operation of a workload is asked for in Maelstrom's protocol, and what its answer is.

One table, WIRE: workload -> f -> ClientRequest. Keys of the workloads are texts (`k3`, `k3.1`);
programs are given integers, as Maelstrom gives them, and their answers are read back.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, TypeAlias
from zlib import crc32

from dynamesis.checkers.history.op import Op
from dynamesis.harness.targets.maelstrom.messages import Body

_KEY = re.compile(r"k(\d+)(?:\.(\d+))?")
#: numbers of slots that a key of the workloads may have; and beyond them, where other keys are
_SLOTS, _OTHERS = 1_000_000, 1 << 48


@lru_cache(maxsize=4096)
def number_of(key: str) -> int:
    """The integer for a key: `k3` is 3, `k3.1` is 1000003."""
    known = _KEY.fullmatch(key)
    if known is None:
        return _OTHERS + crc32(key.encode())
    slot, generation = int(known[1]), int(known[2] or 0)
    return generation * _SLOTS + slot


class Malformed(ValueError):
    """An answer that is not as the workload has it; the message has what would be right."""


@dataclass(frozen=True)
class ClientRequest:
    """`kind`: the type of the request; the answer's is the same with _ok. `fields`: those of the
    request, from the operation; `value`: what the history has of an answer, None where it has
    what was asked. `absent`: whether "no such key" is an answer: that nothing is there."""

    kind: str
    fields: Callable[[Op], Body] = field(default=lambda op: {})
    value: Callable[[Op, Body], Any] | None = None
    absent: bool = False


def _field(body: Body, name: str, right: str, fits: Callable[[Any], bool]) -> Any:
    if name not in body or not fits(body[name]):
        raise Malformed(f'the field "{name}" is {right}')
    return body[name]


def _listed(name: str) -> Callable[[Op, Body], Any]:
    right = "an array of all elements"
    return lambda op, body: _field(body, name, right, lambda value: isinstance(value, list))


def _any(name: str) -> Callable[[Op, Body], Any]:
    return lambda op, body: _field(body, name, "there", lambda value: True)


def _sum(op: Op, body: Body) -> Any:
    return _field(
        body, "value", "an integer, the sum", lambda v: isinstance(v, int) and type(v) is not bool
    )


def _key(op: Op) -> Body:
    assert op.key is not None
    return {"key": number_of(op.key)}


def _asked_txn(op: Op) -> Body:
    return {"txn": [[f, number_of(key), value] for f, key, value in op.value]}


def _done_txn(op: Op, body: Body) -> Any:
    """The micro-operations as they were done, with the keys of the workload."""
    asked = _asked_txn(op)["txn"]
    right = (
        f"the array of the {len(asked)} micro-operations that were asked for, with what was read"
    )
    done = _field(body, "txn", right, lambda value: _fits(asked, value))
    return [[f, key, mop[2]] for (f, key, _), mop in zip(op.value, done, strict=True)]


def _fits(asked: list[Any], done: Any) -> bool:
    if not isinstance(done, list) or len(done) != len(asked):
        return False
    return all(
        isinstance(mop, list)
        and len(mop) == 3
        and mop[:2] == [f, key]
        and (f == "r" or mop[2] == value)
        for (f, key, value), mop in zip(asked, done, strict=True)
    )


def _reads_lists(op: Op, body: Body) -> Any:
    done = _done_txn(op, body)
    if any(f == "r" and not (value is None or isinstance(value, list)) for f, _, value in done):
        raise Malformed("what a read shows is an array, or null if nothing was appended")
    return done


Requests: TypeAlias = "dict[str, ClientRequest]"

_COUNTER: Requests = {
    "add": ClientRequest("add", lambda op: {"delta": op.value}),
    "read": ClientRequest("read", value=_sum),
}

#: workload -> f -> how it is asked for
WIRE: dict[str, Requests] = {
    "echo": {"echo": ClientRequest("echo", lambda op: {"echo": op.value}, _any("echo"))},
    "unique-ids": {"generate": ClientRequest("generate", value=_any("id"))},
    "broadcast": {
        "add": ClientRequest("broadcast", lambda op: {"message": op.value}),
        "read": ClientRequest("read", value=_listed("messages")),
    },
    "g-set": {
        "add": ClientRequest("add", lambda op: {"element": op.value}),
        "read": ClientRequest("read", value=_listed("value")),
    },
    "g-counter": _COUNTER,
    "pn-counter": _COUNTER,
    "lin-kv": {
        "read": ClientRequest("read", _key, _any("value"), absent=True),
        "write": ClientRequest("write", lambda op: {**_key(op), "value": op.value}),
        "cas": ClientRequest(
            "cas", lambda op: {**_key(op), "from": op.value[0], "to": op.value[1]}
        ),
    },
    "txn-list-append": {"txn": ClientRequest("txn", _asked_txn, _reads_lists)},
    "txn-rw-register": {"txn": ClientRequest("txn", _asked_txn, _done_txn)},
}

#: The request by which a workload's nodes show all that they know, where they are to agree in
#: the end; and the field of the answer.
SHOWS: dict[str, tuple[str, str]] = {
    "broadcast": ("read", "messages"),
    "g-set": ("read", "value"),
    "g-counter": ("read", "value"),
    "pn-counter": ("read", "value"),
}
