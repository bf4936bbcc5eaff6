"""The one thing that clients of Dynamo do: read, change, write back with the context.

A cycle is a get, and upon its ok a write whose basis is that get. But a store that is
always writeable is written to by clients that have not read: because they continue from
their own last write, because what they know is old, because the get failed, or because
they never ask. Each is a share of the cycles. What is written is the workload's part: a
pure function.

What was deleted is created again by any client; a share of it (`recreate`) by the
client that deleted it, just when its tombstone falls due: while the nodes agree to forget it,
while some have, and shortly after.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from dynamesis.checkers.history.op import Op, Sibling
from dynamesis.harness.generators import Rng
from dynamesis.harness.generators.distributions import Weighted
from dynamesis.workloads.script.colocated_keys import akin
from dynamesis.workloads.script.requests import REQUEST_OPTIONS
from dynamesis.workloads.script.script import Script
from dynamesis.workloads.script.settings import Load, Option, Setting


class Modification(msgspec.Struct, frozen=True):
    """What to write: a value, or a delete."""

    value: Any = None
    delete: bool = False


class SeenValues(msgspec.Struct, frozen=True):
    """What a writer knows: its process, how many writes its thread has begun (so that the
    pair is unique), and the siblings that its context covers; none for a blind write."""

    process: int
    serial: int
    siblings: tuple[Sibling, ...]

    @property
    def values(self) -> tuple[Any, ...]:
        """The values of the siblings that are not deleted."""
        return tuple(sibling.value for sibling in self.siblings if not sibling.deleted)

    @property
    def number(self) -> int:
        """An integer that no other write of the test has: Cantor's pairing."""
        diagonal = self.process + self.serial
        return diagonal * (diagonal + 1) // 2 + self.serial


#: (rng, what is known) -> (what to write, if anything, rng)
Modify = Callable[[Rng, SeenValues], tuple[Modification | None, Rng]]


#: Keys of which a client remembers what it last knew.
REMEMBERED = 32


def deleting(share: float, modify: Modify) -> Modify:
    """`modify`, but with this probability a delete, of whatever is there or not."""

    def either(rng: Rng, seen: SeenValues) -> tuple[Modification | None, Rng]:
        delete, rng = rng.chance(share)
        return (Modification(delete=True), rng) if delete else modify(rng, seen)

    return either if share else modify


class Known(msgspec.Struct, frozen=True):
    """What a client knows of a key: the completion with it, whose context covers these
    siblings. Without a basis it knows nothing, and writes blindly."""

    basis: int | None = None
    siblings: tuple[Sibling, ...] = ()


class OperationMix(msgspec.Struct, frozen=True):
    """OperationMix of cycles that are blind, or begin with a write on what was known before
    (`stale`); of ok writes that are followed directly by another (`chained`); of failed gets upon
    which is written all the same (`unread`); of writes with another key's context, by a
    mistake that a store must refuse (`foreign`), or with the oldest that is known (`old`);
    of ok deletes that are undone when their tombstones fall due (`recreate`)."""

    blind: float
    stale: float
    chained: float
    unread: float
    foreign: float
    old: float = 0.0
    recreate: float = 0.0

    @classmethod
    def of(cls, load: Load) -> OperationMix:
        """As the options define it."""
        return cls(*(load.number(name) for name in _MEANINGS if name in load.options))

    def after(self, last: Op) -> float:
        """How likely the same key is written after `last`."""
        if last.f == "get":
            return 1.0 if last.type == "ok" else self.unread
        return self.chained if last.type == "ok" else 0.0


_MEANINGS = {
    "blind": "share of cycles that write without a context",
    "stale": "share of cycles that write on what was known before, without reading",
    "chained": "share of ok writes that are followed directly by another",
    "unread": "share of failed gets upon which is written all the same",
    "foreign": "share of writes with the context of another key, which must be refused",
    "old": "share of writes with the oldest context of their key that the client has",
    "recreate": "share of ok deletes after which the key is created as the tombstone falls due",
}


def mix_options(
    blind: float = 0.1,
    stale: float = 0.1,
    chained: float = 0.25,
    unread: float = 0.5,
    foreign: float = 0.0,
    deletes: bool = True,
) -> dict[str, Option]:
    """The options of a workload that reads, modifies and writes, with these defaults, and of
    its requests; `deletes`: whether its values may be deleted."""
    defaults = (blind, stale, chained, unread, foreign, 0.0, 0.0)
    named = zip(_MEANINGS.items(), defaults, strict=True)
    shares = {name: Option(default, (0.0, 1.0), meaning) for (name, meaning), default in named}
    if deletes:
        shares["deletes"] = Option(0.0, (0.0, 1.0), "share of writes that delete")
    else:
        del shares["recreate"]
    return {**shares, **REQUEST_OPTIONS}


#: From when to when a client comes back to what it deleted, in shares of the delay after which
#: tombstones are reaped: nodes look for what is due four times in that delay.
_DUE = (0.97, 1.35)


class Grave(msgspec.Struct, frozen=True):
    """A key that its client has deleted and will create again, `due` at that time, ns."""

    key: str
    due: int


class ReadModifyWrite(msgspec.Struct, frozen=True):
    """`known`: by key, the longest unused first. `wrote`: the version written last. `oldest`:
    by key, what was known of it first. `graves`: what is to be created again, in time."""

    rng: Rng
    keys: Weighted[str]
    modify: Modify
    shares: OperationMix
    serial: int = 0
    known: Mapping[str, Known] = {}
    wrote: Sibling | None = None
    setting: Setting = Setting()
    oldest: Mapping[str, Known] = {}
    graves: tuple[Grave, ...] = ()

    @classmethod
    def of(cls, load: Load, modify: Modify, keys: Weighted[str] | None = None) -> ReadModifyWrite:
        """As the options of a load define it; `keys`: drawn otherwise than by `distribution`."""
        modify = deleting(load.number("deletes"), modify) if "deletes" in load.options else modify
        keys = load.distribution() if keys is None else keys
        return cls(load.rng, keys, modify, OperationMix.of(load), setting=load.setting)

    def next(self, process: int, last: Op | None, now: int = 0) -> tuple[Op, Script]:
        """Continue from `last`, or begin another cycle."""
        if last is None or last.key is None:
            return self._begin(process)
        writes, rng = self.rng.chance(self.shares.after(last))
        script = msgspec.structs.replace(
            self._learned(last.key, last) if last.type == "ok" else self, rng=rng
        )
        script = script._buried(last)
        for grave in script.graves:
            if grave.due <= now:
                return script._recreate(process, grave)
        return script._write(process, last.key) if writes else script._begin(process)

    def _buried(self, last: Op) -> ReadModifyWrite:
        """With the grave of what was deleted, if that is to be undone; no more with that of a
        key that was touched meanwhile."""
        if not self.shares.recreate or last.f == "get":
            return self
        graves, rng = tuple(g for g in self.graves if g.key != last.key), self.rng
        if last.f == "delete" and last.type == "ok":
            again, rng = rng.chance(self.shares.recreate)
            share, rng = rng.uniform(*_DUE)
            due = last.time + round(share * self.setting.reap_after * 1e9)
            graves += (Grave(str(last.key), due),) * again
        return msgspec.structs.replace(self, graves=graves, rng=rng)

    def _recreate(self, process: int, grave: Grave) -> tuple[Op, Script]:
        """Create a key again, on its tombstone or blindly."""
        graves = tuple(other for other in self.graves if other is not grave)
        blind, rng = self.rng.chance(0.5)
        script = msgspec.structs.replace(self, graves=graves, rng=rng)
        return script._write(process, grave.key, Known() if blind else None)

    def _learned(self, key: str, last: Op) -> ReadModifyWrite:
        covered = (self.wrote,) if self.wrote is not None else ()
        answered = last.f == "get" or last.siblings is not None
        siblings = tuple(last.siblings or ()) if answered else covered
        now = Known(last.index, siblings)
        first = siblings and key not in self.oldest and len(self.oldest) < REMEMBERED
        if self.shares.old and first:
            return msgspec.structs.replace(self, oldest={**self.oldest, key: now})._knowing(
                key, now
            )
        return self._knowing(key, now)

    def _knowing(self, key: str, now: Known) -> ReadModifyWrite:
        known = {k: v for k, v in self.known.items() if k != key}
        if len(known) >= REMEMBERED:
            del known[next(iter(known))]
        return msgspec.structs.replace(self, known={**known, key: now})

    def _begin(self, process: int) -> tuple[Op, Script]:
        key, rng = self.keys.pick(self.rng)
        blind, rng = rng.chance(self.shares.blind)
        stale, rng = rng.chance(self.shares.stale)
        script = msgspec.structs.replace(self, rng=rng)
        if blind:
            return script._write(process, key, Known())
        if stale and key in self.known:
            return script._write(process, key)
        return Op(f="get", key=key), script

    def _write(self, process: int, key: str, known: Known | None = None) -> tuple[Op, Script]:
        known = self.known.get(key, Known()) if known is None else known
        rng = self.rng
        if self.shares.old and key in self.oldest:
            old, rng = rng.chance(self.shares.old)
            known = self.oldest[key] if old else known
        change, rng = self.modify(rng, SeenValues(process, self.serial, known.siblings))
        if change is None:
            other, rng = self.keys.pick(rng)
            return Op(f="get", key=other), msgspec.structs.replace(self, rng=rng)
        wrote = Sibling(f"{process}.{self.serial}", change.value, change.delete)
        f = "delete" if change.delete else "put"
        basis, rng = self._basis(rng, key, known)
        op = Op(f=f, key=key, id=wrote.id, value=change.value, basis=basis)
        return op, msgspec.structs.replace(self, rng=rng, serial=self.serial + 1, wrote=wrote)

    def _basis(self, rng: Rng, key: str, known: Known) -> tuple[int | None, Rng]:
        """What `known` rests on, or by mistake what is known of another key: of its
        colocated key, if that is known."""
        mistaken, rng = rng.chance(self.shares.foreign)
        others = [name for name in self.known if name != key]
        if not mistaken or not others:
            return known.basis, rng
        name, rng = rng.choice([name for name in others if akin(name, key)] or others)
        return self.known[name].basis, rng
