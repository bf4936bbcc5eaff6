"""Performs the operations of the workloads without contexts on etcd.

register and cas are single requests. A set has a key for each element, read by prefix. What needs
several steps (counters, transactions, transfers) reads at first and then writes on condition that
nothing of it has changed; the reads of a transaction that writes are part of the one that commits.
A node that refuses, or does not answer a read, is left for the next one.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from dynamesis.checkers.history.op import Op
from dynamesis.harness.targets.client import BlockingClient, fail, ok, unknown
from dynamesis.harness.targets.etcd.gateway import (
    Gateway,
    Held,
    Refused,
    Unanswered,
    holds,
    put,
    read,
    unchanged,
)

#: times that a change is tried again because another client was faster
_CONTENTION = 20


class Unmet(Exception):
    """What a change was conditional on does not hold: it is certainly without effect."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class EtcdClient(BlockingClient):
    """`model`: of the workload, which decides what an `add` and its reads are. Reads are
    linearizable, or those of one node (`serializable`). `limit`: s that an answer may take."""

    def __init__(self, model: str, serializable: bool = False, limit: float = 4.0) -> None:
        self._ways = {**_WAYS, **_WAYS_OF.get(model, {})}
        self._serializable = serializable
        self._limit = limit
        self._gateways: list[Gateway] = []
        self._at = 0

    def connect(self, addresses: Mapping[str, str]) -> None:
        self.disconnect()
        self._gateways = [Gateway(name, where, self._limit) for name, where in addresses.items()]
        self._at = self.thread % len(self._gateways)

    def perform(self, op: Op) -> Op:
        reads = only_reads(op)
        why: Exception | None = None
        for _ in self._gateways:
            node = self._gateways[self._at]
            try:
                return self._ways[op.f](self, node, op)
            except Unmet as unmet:
                return fail(op, unmet.code, str(unmet), node.name)
            except Refused as refused:
                why = refused
            except Unanswered as doubt:
                self._next()
                if not reads:
                    return unknown(op, "in-doubt", str(doubt), node.name)
                return fail(op, "no-answer", str(doubt), node.name)
            self._next()
        return fail(op, "refused", str(why))

    def disconnect(self) -> None:
        for gateway in self._gateways:
            gateway.close()

    def _next(self) -> None:
        self._at = (self._at + 1) % len(self._gateways)

    # ---- operations

    def read(self, node: Gateway, op: Op) -> Op:
        key = f"r/{op.key}"
        held = node.range(key, serializable=self._serializable).get(key, Held())
        return ok(op, None if held.text is None else json.loads(held.text), node.name)

    def write(self, node: Gateway, op: Op) -> Op:
        node.transact([], [put(f"r/{op.key}", json.dumps(op.value))])
        return ok(op, node=node.name)

    def cas(self, node: Gateway, op: Op) -> Op:
        key, (old, new) = f"r/{op.key}", op.value
        done, _ = node.transact([holds(key, json.dumps(old))], [put(key, json.dumps(new))])
        if not done:
            raise Unmet("cas-mismatch", f"it does not hold {old!r}")
        return ok(op, node=node.name)

    def add_element(self, node: Gateway, op: Op) -> Op:
        node.transact([], [put(f"s/{op.key}/{json.dumps(op.value)}", "")])
        return ok(op, node=node.name)

    def read_set(self, node: Gateway, op: Op) -> Op:
        prefix = f"s/{op.key}/"
        found = node.range(prefix, prefix=True, serializable=self._serializable)
        return ok(op, sorted(json.loads(key.removeprefix(prefix)) for key in found), node.name)

    def add_amount(self, node: Gateway, op: Op) -> Op:
        key, amount = str(op.key), int(op.value)
        self._change(node, [key], lambda found: {key: str(_number(found[key]) + amount)})
        return ok(op, node=node.name)

    def read_counter(self, node: Gateway, op: Op) -> Op:
        key = f"t/{op.key}"
        held = node.range(key, serializable=self._serializable).get(key, Held())
        return ok(op, _number(held), node.name)

    def read_bank(self, node: Gateway, op: Op) -> Op:
        found = self._in_one(node, list(op.value))
        return ok(op, {key: _number(held) for key, held in found.items()}, node.name)

    def transfer(self, node: Gateway, op: Op) -> Op:
        giver, taker = op.value["from"], op.value["to"]
        amount = int(op.value["amount"])

        def moved(found: Mapping[str, Held]) -> dict[str, str]:
            return {
                giver: str(_number(found[giver]) - amount),
                taker: str(_number(found[taker]) + amount),
            }

        self._change(node, [giver, taker], moved)
        return ok(op, node=node.name)

    def txn(self, node: Gateway, op: Op) -> Op:
        done: list[list[Any]] = []
        keys = list(dict.fromkeys(str(step[1]) for step in op.value))

        def carried_out(found: Mapping[str, Held]) -> dict[str, str]:
            texts = {key: held.text for key, held in found.items()}
            done[:] = [_step(texts, step) for step in op.value]
            return {k: text for k, text in texts.items() if text and text != found[k].text}

        if only_reads(op):
            carried_out(self._in_one(node, keys))
        else:
            self._change(node, keys, carried_out)
        return ok(op, done, node.name)

    # ---- several keys

    def _in_one(self, node: Gateway, keys: list[str]) -> dict[str, Held]:
        """What these keys hold, at one revision."""
        names = [f"t/{key}" for key in keys]
        _, found = node.transact([], [read(name) for name in names])
        rows = zip(keys, names, found, strict=True)
        return {key: held.get(name, Held()) for key, name, held in rows}

    def _change(
        self,
        node: Gateway,
        keys: list[str],
        change: Callable[[Mapping[str, Held]], Mapping[str, str]],
    ) -> None:
        """Write what `change` makes of what these keys hold, if nothing of it has changed; again
        if it has. Raises Unmet when it always has, Refused, Unanswered."""
        for _ in range(_CONTENTION):
            try:
                found = self._in_one(node, keys)
            except Unanswered as failure:  # nothing is written yet
                raise Refused(str(failure)) from failure
            compare = [unchanged(f"t/{key}", held.revision) for key, held in found.items()]
            done, _ = node.transact(compare, [put(f"t/{k}", t) for k, t in change(found).items()])
            if done:
                return
        raise Unmet("contention", f"others were faster, {_CONTENTION} times")


def only_reads(op: Op) -> bool:
    """Whether an operation changes nothing."""
    return op.f == "read" or (op.f == "txn" and all(step[0] == "r" for step in op.value))


def _number(held: Held) -> int:
    return int(held.text or 0)


def _step(texts: dict[str, str | None], step: list[Any]) -> list[Any]:
    """Carry out one step of a transaction on what its keys hold, and complete it."""
    kind, key, value = step
    held = json.loads(texts[key] or "null")
    if kind == "r":
        return [kind, key, held]
    texts[key] = json.dumps([*(held or []), value] if kind == "append" else value)
    return [kind, key, value]


Way = Callable[[EtcdClient, Gateway, Op], Op]
#: how an operation is performed, by its f; and where that depends on the workload, by its model
_WAYS: dict[str, Way] = {
    "read": EtcdClient.read,
    "write": EtcdClient.write,
    "cas": EtcdClient.cas,
    "transfer": EtcdClient.transfer,
    "txn": EtcdClient.txn,
}
_WAYS_OF: dict[str, dict[str, Way]] = {
    "set-full": {"add": EtcdClient.add_element, "read": EtcdClient.read_set},
    "counter": {"add": EtcdClient.add_amount, "read": EtcdClient.read_counter},
    "bank": {"read": EtcdClient.read_bank},
}
