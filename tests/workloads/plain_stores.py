"""Simulated stores without contexts, correct and wrong. Every operation takes effect at one
instant, that of its invocation, takes a random time, and may fail, or end in doubt."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import msgspec
from dynamesis.checkers.history.op import Op, OpError
from dynamesis.harness.generators import Rng


class Refused(Exception):
    """The store does not do what is asked for, since a condition does not hold."""


class PlainStore:
    """What all have in common. `down`: the share of operations that fail or end in doubt; `dead`:
    the fs of which all fail."""

    def __init__(self, seed: int, down: float = 0.1, dead: tuple[str, ...] = ()) -> None:
        self.rng, self.down, self.dead = Rng(seed), down, dead
        self.began()

    def began(self) -> None:
        """Sets up what the store holds."""

    def perform(self, op: Op) -> Any:
        """What the operation answers. Raises Refused."""
        return getattr(self, op.f)(op)

    def __call__(self, op: Op) -> Op:
        """The completion of an invocation."""
        done = msgspec.structs.replace(
            op, type="ok", time=op.time + self.draw(2_000_000) + 1, value=None
        )
        trouble = self.draw(1000) < self.down * 1000
        if op.f in self.dead or (trouble and self.draw(2)):
            done.type, done.error = "fail", OpError("unavailable", True)
            return done
        if trouble and self.draw(2):
            done.type, done.error = "info", OpError("timeout", False)
            return done
        try:
            done.value = self.perform(op)
        except Refused as why:
            done.type, done.error = "fail", OpError(str(why), True)
            return done
        if trouble:
            done.type, done.error = "info", OpError("timeout", False)
            if op.f != "drain":  # which reports what it took before it broke off
                done.value = None
        return done

    def recorded(self, event: Op) -> None:
        """The history continues: nothing to learn from."""

    def draw(self, n: int) -> int:
        value, self.rng = self.rng.below(n)
        return value

    def seldom(self) -> bool:
        """One in thirty."""
        return not self.draw(30)


class Registers(PlainStore):
    def began(self):
        self.held, self.before = {}, {}

    def read(self, op):
        return self.held.get(op.key)

    def write(self, op):
        self.before[op.key] = self.held.get(op.key)
        self.held[op.key] = op.value

    def cas(self, op):
        old, new = op.value
        if self.held.get(op.key) != old:
            raise Refused("cas-mismatch")
        self.write(msgspec.structs.replace(op, value=new))


class StaleReads(Registers):
    def read(self, op):
        return (self.before if self.seldom() else self.held).get(op.key)


class LostWrites(Registers):
    def write(self, op):
        if not self.seldom():
            super().write(op)


class CasWithoutCompare(Registers):
    def cas(self, op):
        self.write(msgspec.structs.replace(op, value=op.value[1]))


class RefusedCasWrites(Registers):
    def cas(self, op):
        self.write(msgspec.structs.replace(op, value=op.value[1]))
        raise Refused("cas-mismatch")


class Sets(PlainStore):
    def began(self):
        self.held = defaultdict(list)

    def add(self, op):
        self.held[op.key].append(op.value)

    def read(self, op):
        return list(self.held[op.key])


class LostAdds(Sets):
    def add(self, op):
        if not self.seldom():
            super().add(op)


class LateAdds(Sets):
    """A read lacks the last element, now and then."""

    def read(self, op):
        return super().read(op)[: -1 if self.seldom() else None]


class MadeUpElements(Sets):
    def read(self, op):
        return [*super().read(op), *([-1] if self.seldom() else [])]


class AddsTwice(Sets):
    def read(self, op):
        found = super().read(op)
        return [*found, *found[:1]]


class Counters(PlainStore):
    def began(self):
        self.held = defaultdict(int)

    def add(self, op):
        self.held[op.key] += op.value

    def read(self, op):
        return self.held[op.key]


class LostIncrements(Counters):
    def add(self, op):
        if self.draw(4):
            super().add(op)


class CountsTwice(Counters):
    def add(self, op):
        super().add(op)
        if not self.draw(4):
            super().add(op)


class Transactions(PlainStore):
    """Lists and registers, strict-serializable."""

    def began(self):
        self.held = {}

    def txn(self, op):
        return self.performed(self.held, op.value)

    def performed(self, seen, mops):
        """The micro-operations, with reads of what is `seen`."""
        done = []
        for f, key, value in mops:
            if f == "append":
                self.held[key] = [*self.held.get(key, []), value]
            elif f == "w":
                self.held[key] = value
            done.append([f, key, seen.get(key) if f == "r" else value])
        return done


class OldSnapshots(Transactions):
    """One transaction in ten reads what was there ten transactions before."""

    def began(self):
        super().began()
        self.snapshots = []

    def txn(self, op):
        self.snapshots = [*self.snapshots[-9:], dict(self.held)]
        return self.performed(self.held if self.draw(10) else self.snapshots[0], op.value)


class LostAppends(Transactions):
    """An append overwrites the one before, now and then."""

    def performed(self, seen, mops):
        for f, key, _ in mops:
            if f == "append" and self.seldom() and self.held.get(key):
                self.held[key] = self.held[key][:-1]
        return super().performed(seen, mops)


class AbortsApplied(Transactions):
    def txn(self, op):
        done = super().txn(op)
        if self.seldom():
            raise Refused("aborted")
        return done


class TornReads(Transactions):
    """Of the writes of one transaction a part becomes visible with the transaction after it."""

    def began(self):
        super().began()
        self.late = []

    def txn(self, op):
        late, self.late = self.late, []
        done = super().txn(op)
        for key, value in late:
            self.held[key] = value
        writes = [mop for mop in op.value if mop[0] == "w"]
        if len(writes) > 1 and len({mop[1] for mop in writes}) > 1:
            key = writes[-1][1]
            self.late = [(key, self.held[key])]
            self.held[key] = None
        return done


class Forked(Transactions):
    """Two halves of the store, each of which learns of the other's writes late; keys are written
    in the half of their last digit."""

    def began(self):
        self.halves, self.queue = ({}, {}), []

    def txn(self, op):
        self.queue = [(left - 1, half, key) for left, half, key in self.queue]
        for left, half, key in self.queue:
            if left <= 0:
                self.halves[half][key] = 1
        self.queue = [late for late in self.queue if late[0] > 0]
        half = self.draw(2)
        done = []
        for f, key, value in op.value:
            if f == "w":
                home = int(key[-1]) % 2
                self.halves[home][key] = value
                self.queue.append((12, 1 - home, key))
            done.append([f, key, value if f == "w" else self.halves[half].get(key)])
        return done


class MadeUpValues(Transactions):
    def performed(self, seen, mops):
        done = super().performed(seen, mops)
        return [[f, k, 99 if f == "r" and v is not None and self.seldom() else v]
                for f, k, v in done]  # fmt: skip


class Bank(PlainStore):
    def began(self):
        self.held = defaultdict(int)

    def transfer(self, op):
        self.held[op.value["from"]] -= op.value["amount"]
        self.held[op.value["to"]] += op.value["amount"]

    def read(self, op):
        return {account: self.held[account] for account in op.value}


class LostUpdates(Bank):
    """Of a transfer only half is kept, now and then: another one overwrote the balance."""

    def transfer(self, op):
        kept = self.held[op.value["to"]]
        super().transfer(op)
        if self.seldom():
            self.held[op.value["to"]] = kept


class HalfTransfersSeen(Bank):
    def read(self, op):
        found = super().read(op)
        if self.seldom():
            found[next(iter(found))] -= 3
        return found


class Ids(PlainStore):
    def began(self):
        self.last = 0

    def generate(self, op):
        self.last += 1
        return self.last


class RepeatedIds(Ids):
    def generate(self, op):
        if self.last and self.seldom():
            return self.last
        return super().generate(op)


class Echoes(PlainStore):
    def echo(self, op):
        return op.value


class WrongEchoes(Echoes):
    def echo(self, op):
        return "pong" if self.seldom() else op.value


class Queues(PlainStore):
    """First in, first out."""

    def began(self):
        self.held = defaultdict(list)

    def enqueue(self, op):
        self.held[op.key].append(op.value)

    def dequeue(self, op):
        if not self.held[op.key]:
            raise Refused("empty")
        return self.take(self.held[op.key])

    def take(self, held):
        return held.pop(0)

    def drain(self, op):
        taken = []
        while self.held[op.key]:
            taken.append(self.dequeue(op))
        return taken


class LostElements(Queues):
    def enqueue(self, op):
        if self.draw(5):
            super().enqueue(op)


class TakenTwice(Queues):
    def take(self, held):
        return held[0] if self.seldom() else super().take(held)

    def drain(self, op):
        taken, self.held[op.key] = self.held[op.key], []
        return taken


class MadeUpMessages(Queues):
    def take(self, held):
        taken = super().take(held)
        return -1 - taken if self.seldom() else taken


class OutOfOrder(Queues):
    def take(self, held):
        return held.pop() if self.seldom() else super().take(held)


#: A correct store for each workload.
RIGHT = {
    "register": Registers,
    "read-write": Registers,
    "set": Sets,
    "counter": Counters,
    "append": Transactions,
    "rw": Transactions,
    "bank": Bank,
    "unique-ids": Ids,
    "long-fork": Transactions,
    "queue": Queues,
    "echo": Echoes,
    "broadcast": Sets,
    "g-set": Sets,
    "g-counter": Counters,
    "pn-counter": Counters,
    "lin-kv": Registers,
    "txn-list-append": Transactions,
    "txn-rw-register": Transactions,
}
