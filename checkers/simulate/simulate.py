"""A simulated store, right or wrong on purpose, that writes histories of any size.

It keeps each key on N replicas as dotted version vectors (Preguica et al. 2012) and lets
clients' operations overlap: an operation is invoked, later takes effect, later still
completes, or never does. A put reaches some replicas immediately and the rest late; in the
end everything meets, and the final reads show it. A correct run must be valid however it
was drawn; each `fault` breaks one rule, and the checkers must notice.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NewType

import numpy as np
from dynamesis.checkers.history.op import Op, OpError, Sibling

#: Why an operation did not end in ok.
LOST, REFUSED = OpError("timeout", False, "simulated"), OpError("unavailable", True, "simulated")

REPLICAS = ("n1", "n2", "n3")

#: ways to be wrong, and the anomaly that each must lead to sooner or later
FAULTS: dict[str, str] = {
    "overwrite": "lost-write",
    "keep-covered": "false-sibling",
    "forget-replica": "divergence",
    "forget-everywhere": "lost-write",
    "undo": "resurrection",
    "twice": "duplicate-sibling",
    "garble": "altered-value",
    "invent": "phantom",
    "wrong-key": "crossed-key",
    "refuse-and-keep": "aborted-read",
}

#: a version: its actor, and the actor's counter
Dot = NewType("Dot", tuple[int, int])


@dataclass
class SimulatedRecord:
    """One replica's copy of a key: what is known (actor -> counter), and live versions."""

    clock: dict[int, int] = field(default_factory=dict)
    live: dict[Dot, Sibling] = field(default_factory=dict)

    def merge(self, other: SimulatedRecord) -> None:
        """Sync: a version that one side knew and no longer holds is gone."""
        kept = {
            dot: version
            for dot, version in self.live.items()
            if dot in other.live or other.clock.get(dot[0], 0) < dot[1]
        }
        for dot, version in other.live.items():
            if self.clock.get(dot[0], 0) < dot[1]:
                kept[dot] = version
        self.live = kept
        for actor, counter in other.clock.items():
            self.clock[actor] = max(counter, self.clock.get(actor, 0))

    def copy(self) -> SimulatedRecord:
        return SimulatedRecord(dict(self.clock), dict(self.live))


@dataclass
class SimulatedClient:
    """A client process and the operation it has under way."""

    process: int
    op: Op | None = None
    applied: bool = False
    answer: SimulatedRecord | None = None
    #: the key and completion of the context that it holds, and what that context covers
    held: tuple[str, int, dict[int, int]] | None = None
    sent: dict[int, int] = field(default_factory=dict)


class Store:
    """Draws a history from a seed. Rates are probabilities of an operation."""

    def __init__(
        self,
        seed: int,
        operations: int,
        keys: int = 5,
        clients: int = 5,
        fault: str | None = None,
        hot: float = 0.0,
        blind: float = 0.1,
        deletes: float = 0.05,
        lost: float = 0.02,
        refused: float = 0.02,
    ) -> None:
        self._random = np.random.Generator(np.random.PCG64(seed))
        self._pool: list[float] = []
        self._left = operations
        self._keys = [f"k{i}" for i in range(keys)]
        self._replicas: dict[str, list[SimulatedRecord]] = {
            key: [SimulatedRecord() for _ in REPLICAS] for key in self._keys
        }
        self._clients = [SimulatedClient(i) for i in range(clients)]
        self._next_process = clients
        self._fault, self._hot, self._blind, self._deletes = fault, hot, blind, deletes
        self._lost, self._refused = lost, refused
        self._written = 0
        self._index = 0
        self._late: list[tuple[str, int, SimulatedRecord]] = []
        #: by key: what was live when it was last written
        self._shadow: dict[str, dict[Dot, Sibling]] = {}

    def _chance(self, probability: float) -> bool:
        return self._draw() < probability

    def _draw(self) -> float:
        if not self._pool:
            self._pool = self._random.random(4096).tolist()
        return self._pool.pop()

    def _choose(self, count: int) -> int:
        return int(self._draw() * count)

    def ops(self) -> Iterator[Op]:
        """The events, in order, with indices and times."""
        yield self._event(type="info", process="harness", f="phase", value="load")
        while self._left or any(client.op for client in self._clients):
            yield from self._step(self._clients[self._choose(len(self._clients))])
        yield from self._finish()

    def _event(self, **fields: Any) -> Op:
        op = Op(index=self._index, time=self._index * 1000, **fields)
        self._index += 1
        return op

    def _step(self, client: SimulatedClient) -> Iterator[Op]:
        if client.op is None:
            if self._left:
                self._left -= 1
                yield self._invoke(client)
        elif not client.applied:
            if self._chance(self._lost):
                yield self._lose(client)
            else:
                self._apply(client)
        else:
            yield self._complete(client)

    def _invoke(self, client: SimulatedClient) -> Op:
        key = self._keys[0 if self._chance(self._hot) else self._choose(len(self._keys))]
        basis: int | None = None
        client.sent = {}
        if client.held and self._chance(0.8):
            key, basis, client.sent = client.held
        client.held, client.applied = None, False
        if basis is None and not self._chance(self._blind):
            client.op = self._event(process=client.process, f="get", key=key)
        else:
            self._written += 1
            deleting = self._chance(self._deletes)
            client.op = self._event(
                process=client.process,
                f="delete" if deleting else "put",
                key=key,
                id=f"{client.process}.{self._written}",
                value=None if deleting else self._written,
                basis=basis,
            )
        return client.op

    def _apply(self, client: SimulatedClient) -> None:
        client.applied = True
        assert client.op is not None
        if client.op.f == "get":
            client.answer = self._read(client.op.key or "")
        elif self._chance(self._refused):
            client.answer = None
            if self._fault == "refuse-and-keep":
                self._write(client, client.op)
        else:
            client.answer = self._write(client, client.op)

    def _read(self, key: str) -> SimulatedRecord:
        replicas = self._replicas[key]
        first = self._choose(len(replicas))
        merged = replicas[first].copy()
        merged.merge(replicas[(first + 1) % len(replicas)])
        return merged

    def _write(self, client: SimulatedClient, op: Op) -> SimulatedRecord:
        """Stamp at one replica, reach a second immediately and the third late. The answer shows
        the new version where its context may be used: a vector alone would cover
        concurrent siblings of the same actor too."""
        replicas = self._replicas[op.key or ""]
        actor = self._choose(len(replicas))
        record = replicas[actor]
        counter = record.clock.get(actor, 0) + 1
        version = Sibling(op.id or "", op.value, op.f == "delete")
        broken = self._fault if self._chance(0.2) else None
        if broken == "overwrite":
            record.live.clear()
        if broken != "keep-covered":
            covered = client.sent
            record.live = {
                dot: v for dot, v in record.live.items() if covered.get(dot[0], 0) < dot[1]
            }
        for other, known in client.sent.items():
            record.clock[other] = max(known, record.clock.get(other, 0))
        record.clock[actor] = counter
        dot = Dot((actor, counter))
        alone = not record.live
        if broken == "undo" and self._shadow.get(op.key or ""):
            record.live = dict(self._shadow[op.key or ""])
        elif broken != "forget-everywhere":
            record.live[dot] = version
            self._shadow[op.key or ""] = dict(record.live)
        stamped = record.copy()
        replicas[(actor + 1) % len(replicas)].merge(stamped)
        self._late.append((op.key or "", (actor + 2) % len(replicas), stamped))
        if self._chance(0.3):
            self._deliver(self._choose(len(self._late)))
        return SimulatedRecord(stamped.clock, {dot: version} if alone else {})

    def _deliver(self, which: int) -> None:
        self._late[which], self._late[-1] = self._late[-1], self._late[which]
        key, replica, record = self._late.pop()
        self._replicas[key][replica].merge(record)

    def _lose(self, client: SimulatedClient) -> Op:
        """Of unknown outcome: it took effect, or did not; a new process takes over."""
        op = client.op
        assert op is not None
        if op.f != "get" and self._chance(0.5):
            self._write(client, op)
        ended = self._event(
            type="info", process=client.process, f=op.f, key=op.key, id=op.id, error=LOST
        )
        client.process, self._next_process = self._next_process, self._next_process + 1
        client.op, client.held = None, None
        return ended

    def _complete(self, client: SimulatedClient) -> Op:
        op, answer = client.op, client.answer
        assert op is not None
        client.op = None
        ended = {"process": client.process, "f": op.f, "key": op.key, "id": op.id}
        if answer is None:
            return self._event(type="fail", **ended, error=REFUSED)
        if op.f == "get":
            client.held = (op.key or "", self._index, answer.clock)
            return self._event(type="ok", **ended, siblings=self._shown(answer, op))
        if answer.live:
            client.held = (op.key or "", self._index, answer.clock)
        return self._event(type="ok", **ended)

    def _shown(self, answer: SimulatedRecord, op: Op) -> list[Sibling]:
        siblings = list(answer.live.values())
        if self._fault in ("twice", "garble", "invent", "wrong-key") and self._chance(0.05):
            siblings = self._distort(siblings, op)
        return siblings

    def _distort(self, siblings: list[Sibling], op: Op) -> list[Sibling]:
        if self._fault == "twice":
            return siblings + siblings[:1]
        if self._fault == "garble":
            return [Sibling(s.id, "garbled", s.deleted) for s in siblings]
        if self._fault == "invent":
            return [*siblings, Sibling("invented.1", 0)]
        others = [key for key in self._keys if key != op.key]
        return siblings + (self._shown(self._read(others[0]), op)[:1] if others else [])

    def _finish(self) -> Iterator[Op]:
        for phase in ("heal", "quiesce"):
            yield self._event(type="info", process="harness", f="phase", value=phase)
        if self._fault == "forget-replica":
            self._late = [late for late in self._late if not self._chance(0.5)]
        while self._late:
            self._deliver(len(self._late) - 1)
        yield self._event(type="info", process="harness", f="quiesce", value={"quiet": True})
        yield self._event(type="info", process="harness", f="phase", value="final")
        for key in self._keys:
            yield from self._final(key)
        yield self._event(type="info", process="harness", f="phase", value="stop")

    def _final(self, key: str) -> Iterator[Op]:
        if self._fault != "forget-replica":
            merged = self._read(key)
            merged.merge(self._replicas[key][0])
            merged.merge(self._replicas[key][1])
            merged.merge(self._replicas[key][2])
            self._replicas[key] = [merged.copy() for _ in REPLICAS]
        for replica, record in zip(REPLICAS, self._replicas[key], strict=True):
            fields = {"process": "harness", "f": "dump", "key": key, "replica": replica}
            yield self._event(**fields)
            yield self._event(type="ok", **fields, siblings=list(record.live.values()))
        yield self._event(process=self._next_process, f="get", key=key)
        shown = list(self._read(key).live.values())
        yield self._event(type="ok", process=self._next_process, f="get", key=key, siblings=shown)


#: what a checker may need beside a simulated history
TEST = {"nodes": list(REPLICAS), "n": 3, "ring": {"partitions": 3, "owners": list(REPLICAS)}}
