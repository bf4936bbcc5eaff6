"""Simulated stores, correct and wrong, that play against a workload in virtual time.

Three replicas hold, of every key, the current versions and the set of ids they know
of: the definition of causal histories itself, not its encoding as version vectors. A
write reaches some replicas immediately and the others by `quiesce`; operations take a random
time, may fail, or end in doubt.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import msgspec
from dynamesis.checkers.history.op import Op, OpError, Sibling
from dynamesis.harness.generators import Rng

REPLICAS = ("n1", "n2", "n3")
LIMIT = 1 << 20
#: What test.json would say: every write reaches two replicas, every read asks two.
STRICT = {
    "ring": {"owners": list(REPLICAS), "n": 3},
    "n": 3,
    "r": 2,
    "w": 2,
    "sloppy": False,
    "promises": ["read-your-writes"],
}


@dataclass(frozen=True)
class Record:
    """The current versions of a key, newest last, and every id that is known of it."""

    standing: tuple[Sibling, ...] = ()
    known: frozenset[str] = frozenset()


def sync(a: Record, b: Record) -> Record:
    """The versions current on both sides, and those on one that the other does not know."""
    ids = {s.id for s in a.standing}, {s.id for s in b.standing}
    kept = [s for s in a.standing if s.id in ids[1] or s.id not in b.known]
    new = [s for s in b.standing if s.id not in ids[0] and s.id not in a.known]
    return Record((*kept, *new), a.known | b.known)


@dataclass
class Store:
    """A correct store. `down`: the share of operations that fail or end in doubt."""

    rng: Rng
    down: float = 0.1
    replicas: dict[str, dict[str, Record]] = field(
        default_factory=lambda: {name: {} for name in REPLICAS}
    )
    contexts: dict[int, tuple[str, frozenset[str]]] = field(default_factory=dict)
    fresh: dict[int | str, frozenset[str]] = field(default_factory=dict)

    def __call__(self, op: Op) -> Op:
        """The completion of an invocation; its effect takes place now."""
        latency = self.draw(2_000_000) + 1
        done = msgspec.structs.replace(
            op, type="ok", time=op.time + latency, value=None, basis=msgspec.UNSET
        )
        for refused, code in (
            (self.too_large(op), "value-too-large"),
            (self.foreign(op), "bad-context"),
        ):
            if refused:
                done.type, done.error = "fail", OpError(code, True)
                return done
        trouble = self.draw(1000) < self.down * 1000
        if trouble and (op.f == "get" or self.draw(2)):
            done.type, done.error = "fail", OpError("overloaded", True)
            return done
        if trouble and self.draw(2):
            done.type, done.error = "info", OpError("storage-write", False)
            return done
        done.node = REPLICAS[self.draw(3)]
        if op.f == "get":
            record = self.read(op.key, self.some())
            done.siblings = list(record.standing)
            self.fresh[op.process] = self.context_of(record)
        else:
            self.put(op, done.node)
        if trouble:
            done.type, done.error = "info", OpError("storage-write", False)
        return done

    def recorded(self, event: Op) -> None:
        """Learn the index of a completion, and with `quiesce` get quiet."""
        if event.type == "ok" and event.process in self.fresh:
            self.contexts[event.index] = event.key, self.fresh[event.process]
        if event.f == "quiesce":
            self.quiesce()

    def too_large(self, op: Op) -> bool:
        pad = op.value.get("pad", 0) if isinstance(op.value, dict) else 0
        return pad > LIMIT

    def foreign(self, op: Op) -> bool:
        return isinstance(op.basis, int) and self.contexts[op.basis][0] != op.key

    def put(self, op: Op, coordinator: str) -> None:
        context = self.contexts[op.basis][1] if isinstance(op.basis, int) else frozenset()
        new = Sibling(op.id, op.value, op.f == "delete")
        record = self.write(self.replicas[coordinator].get(op.key, Record()), context, new)
        self.fresh[op.process] = context | {new.id}
        for name in {coordinator, *self.some()}:
            self.replicate(name, op.key, record)

    def write(self, record: Record, context: frozenset[str], new: Sibling) -> Record:
        uncovered = tuple(s for s in record.standing if s.id not in context)
        return Record((*uncovered, new), record.known | context | {new.id})

    def replicate(self, name: str, key: str, record: Record) -> None:
        self.replicas[name][key] = sync(self.replicas[name].get(key, Record()), record)

    def read(self, key: str, names: Iterable[str]) -> Record:
        record = Record()
        for name in names:
            record = sync(record, self.replicas[name].get(key, Record()))
        return record

    def context_of(self, record: Record) -> frozenset[str]:
        return record.known

    def quiesce(self) -> None:
        for key in sorted({key for held in self.replicas.values() for key in held}):
            record = self.read(key, REPLICAS)
            for name in REPLICAS:
                self.replicate(name, key, record)

    def some(self) -> tuple[str, ...]:
        """Two replicas."""
        first = self.draw(3)
        return REPLICAS[first], REPLICAS[(first + 1 + self.draw(2)) % 3]

    def draw(self, n: int) -> int:
        value, self.rng = self.rng.below(n)
        return value


@dataclass
class LastWriteStays(Store):
    """Correct where the last writer wins: a version is dated after all that its coordinator
    or its writer knows of, and of several the latest stays."""

    dates: dict[str, int] = field(default_factory=dict)

    def __call__(self, op):
        done = super().__call__(op)
        if done.type == "ok" and op.id in self.dates:
            done.worth = {"timestamp": self.dates[op.id]}
        return done

    def put(self, op, coordinator):
        context = self.contexts[op.basis][1] if isinstance(op.basis, int) else frozenset()
        known = self.replicas[coordinator].get(op.key, Record()).known | context
        self.dates[op.id] = self.date(self.wall(op, coordinator), known)
        super().put(op, coordinator)

    def wall(self, op, coordinator):
        """ms, by clocks that are three minutes apart."""
        return op.time // 1_000_000 + 180_000 * REPLICAS.index(coordinator)

    def date(self, wall, known):
        return max(wall, 1 + max((self.dates[id] for id in known), default=0))

    def write(self, record, context, new):
        return self.settle(super().write(record, context, new))

    def replicate(self, name, key, record):
        super().replicate(name, key, record)
        self.replicas[name][key] = self.settle(self.replicas[name][key])

    def read(self, key, names):
        return self.settle(super().read(key, names))

    def settle(self, record):
        latest = max(record.standing, key=lambda s: (self.dates[s.id], s.id), default=None)
        return Record((latest,) if latest else (), record.known)


class DatedByWall(LastWriteStays):
    """A version has the date of its coordinator's clock, whatever it follows on."""

    def date(self, wall, known):
        return wall


class LastArrivalStays(LastWriteStays):
    """Of several versions the one that a replica received last stays."""

    def settle(self, record):
        return Record(record.standing[-1:], record.known)


class LastWriterWins(Store):
    """A write replaces all versions, whether its writer had seen them or not."""

    def write(self, record, context, new):
        return super().write(record, record.known, new)


class NeverReplaces(Store):
    """Contexts are ignored: what was replaced stays a version."""

    def write(self, record, context, new):
        return super().write(record, frozenset(), new)


class ContextOverclaims(Store):
    """A get's context covers more than the get returned: the newest sibling is left out."""

    def __call__(self, op):
        done = super().__call__(op)
        if done.siblings:
            done.siblings = done.siblings[:-1]
        return done


class ForeignContexts(Store):
    """A context of any key is good for all, and replaces what is there."""

    def foreign(self, op):
        return False

    def put(self, op, coordinator):
        if super().foreign(op):
            record = self.read(op.key, REPLICAS)
            self.contexts[op.basis] = op.key, record.known
        super().put(op, coordinator)


class OverwritesReplicas(Store):
    """Replicas take the coordinator's record instead of merging it with theirs."""

    def replicate(self, name, key, record):
        self.replicas[name][key] = record


class NoRepair(Store):
    """Replicas that missed a write never get it."""

    def quiesce(self):
        pass


class StaleReads(Store):
    """A write reaches its coordinator only, and a read asks one replica only."""

    def some(self):
        return (REPLICAS[self.draw(3)],)


class TombstonesSwallow(Store):
    """What is written where there was a tombstone goes the way of what was deleted."""

    def write(self, record, context, new):
        written = super().write(record, context, new)
        if record.standing and all(s.deleted for s in record.standing):
            return Record(record.standing, written.known)
        return written


class HardDelete(Store):
    """A delete leaves no tombstone, nor any memory of what it removed."""

    def replicate(self, name, key, record):
        super().replicate(name, key, record)
        record = self.replicas[name][key]
        if record.standing and all(s.deleted for s in record.standing):
            self.replicas[name][key] = Record()


class AltersValues(Store):
    """One value in fifty comes back as another."""

    def read(self, key, names):
        record = super().read(key, names)
        if record.standing and not self.draw(50):
            first, *rest = record.standing
            return Record((Sibling(first.id, "garbage", first.deleted), *rest), record.known)
        return record


class CrossesKeys(Store):
    """One read in fifty is answered with another key's record."""

    def read(self, key, names):
        others = sorted(k for k in self.replicas["n1"] if k != key)
        if others and not self.draw(50):
            key = others[self.draw(len(others))]
        return super().read(key, names)


class CutsValues(Store):
    """A value of more than 64 KiB loses its end."""

    def write(self, record, context, new):
        if isinstance(new.value, dict) and new.value.get("pad", 0) > 1 << 16:
            new = Sibling(new.id, {"value": new.value, "padded": 1 << 16}, new.deleted)
        return super().write(record, context, new)


class StoresRefused(Store):
    """What is refused is written all the same."""

    def __call__(self, op):
        done = super().__call__(op)
        if done.type == "fail" and op.f != "get":
            self.put(op, REPLICAS[0])
            self.fresh.pop(op.process)
        return done


def right_store(workload, seed):
    """A correct store for a workload."""
    return (LastWriteStays if workload.lww else Store)(Rng(seed))
