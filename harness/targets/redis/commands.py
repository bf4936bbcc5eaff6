"""The operations of the workloads as commands of Redis, and what their replies mean.

Everything is one command, one script or one MULTI, so that a lone primary is strictly
serializable.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from dynamesis.checkers.history.op import Op
from dynamesis.harness.targets.redis.resp import Reply

#: Sets a register if it holds the old value: 1, or 0.
_CAS = (
    "if redis.call('GET', KEYS[1]) == ARGV[1] then "
    "redis.call('SET', KEYS[1], ARGV[2]) return 1 else return 0 end"
)
#: commands that change nothing
_READS = frozenset({"GET", "MGET", "LRANGE", "SMEMBERS"})
Command = list[object]


@dataclass(frozen=True)
class RedisRequest:
    """What an operation asks of Redis.

    commands: carried out together
    value: what it comes back with, of their replies
    refused: the code and the reason with which it failed, if they show that it did
    """

    commands: list[Command]
    value: Callable[[list[Reply]], Any] | None = None
    refused: Callable[[list[Reply]], tuple[str, str] | None] | None = None

    @property
    def reads_only(self) -> bool:
        """Whether it changes nothing, whatever becomes of it."""
        return all(words[0] in _READS for words in self.commands)


def request(op: Op, model: str) -> RedisRequest:
    """The request of an operation; `model`: of the workload, which decides what an `add` is."""
    return {**_WAYS, **_WAYS_OF.get(model, {})}[op.f](op)


def _read(op: Op) -> RedisRequest:
    return RedisRequest([["GET", f"r/{op.key}"]], lambda r: _loaded(r[0]))


def _write(op: Op) -> RedisRequest:
    return RedisRequest([["SET", f"r/{op.key}", json.dumps(op.value)]])


def _cas(op: Op) -> RedisRequest:
    old, new = op.value

    def refused(replies: list[Reply]) -> tuple[str, str] | None:
        return None if replies[0] == 1 else ("cas-mismatch", f"it does not hold {old!r}")

    command: Command = ["EVAL", _CAS, 1, f"r/{op.key}", json.dumps(old), json.dumps(new)]
    return RedisRequest([command], None, refused)


def _add_element(op: Op) -> RedisRequest:
    return RedisRequest([["SADD", f"s/{op.key}", json.dumps(op.value)]])


def _read_set(op: Op) -> RedisRequest:
    return RedisRequest([["SMEMBERS", f"s/{op.key}"]], lambda r: sorted(map(json.loads, r[0])))


def _add_amount(op: Op) -> RedisRequest:
    return RedisRequest([["INCRBY", f"c/{op.key}", op.value]])


def _read_counter(op: Op) -> RedisRequest:
    return RedisRequest([["GET", f"c/{op.key}"]], lambda r: int(r[0] or 0))


def _enqueue(op: Op) -> RedisRequest:
    return RedisRequest([["RPUSH", f"q/{op.key}", json.dumps(op.value)]])


def _dequeue(op: Op) -> RedisRequest:
    return RedisRequest([["LPOP", f"q/{op.key}"]], lambda r: _loaded(r[0]))


def _drain(op: Op) -> RedisRequest:
    key = f"q/{op.key}"
    return RedisRequest(
        [["LRANGE", key, 0, -1], ["DEL", key]], lambda r: list(map(json.loads, r[0]))
    )


def _generate(op: Op) -> RedisRequest:
    return RedisRequest([["INCR", "ids"]], lambda r: r[0])


def _transfer(op: Op) -> RedisRequest:
    giver, taker, amount = op.value["from"], op.value["to"], int(op.value["amount"])
    return RedisRequest([["DECRBY", f"b/{giver}", amount], ["INCRBY", f"b/{taker}", amount]])


def _read_bank(op: Op) -> RedisRequest:
    accounts = list(op.value)
    commands: list[Command] = [["MGET", *(f"b/{each}" for each in accounts)]]
    return RedisRequest(
        commands, lambda r: dict(zip(accounts, (int(n or 0) for n in r[0]), strict=True))
    )


def _txn(op: Op) -> RedisRequest:
    """Registers, or lists where something is appended: a key is one or the other."""
    return _steps(op, ["GET", "r/{}"], lambda reply: _loaded(reply))


def _append_txn(op: Op) -> RedisRequest:
    return _steps(op, ["LRANGE", "l/{}", "0", "-1"], lambda reply: list(map(json.loads, reply)))


def _steps(op: Op, reading: list[str], read: Callable[[Reply], Any]) -> RedisRequest:
    steps = op.value

    def command(kind: str, key: str, value: Any) -> Command:
        if kind == "r":
            return [word.format(key) for word in reading]
        if kind == "append":
            return ["RPUSH", f"l/{key}", json.dumps(value)]
        return ["SET", f"r/{key}", json.dumps(value)]

    def value(replies: list[Reply]) -> Any:
        return [
            [kind, key, read(reply) if kind == "r" else written]
            for (kind, key, written), reply in zip(steps, replies, strict=True)
        ]

    return RedisRequest([command(*step) for step in steps], value)


def _loaded(text: str | None) -> Any:
    return None if text is None else json.loads(text)


Way = Callable[[Op], RedisRequest]
#: how an operation is performed, by its f; and where that depends on the workload, by its model
_WAYS: dict[str, Way] = {
    "read": _read,
    "write": _write,
    "cas": _cas,
    "enqueue": _enqueue,
    "dequeue": _dequeue,
    "drain": _drain,
    "generate": _generate,
    "transfer": _transfer,
    "txn": _txn,
}
_WAYS_OF: dict[str, dict[str, Way]] = {
    "set-full": {"add": _add_element, "read": _read_set},
    "counter": {"add": _add_amount, "read": _read_counter},
    "bank": {"read": _read_bank},
    "list-append": {"txn": _append_txn},
}
