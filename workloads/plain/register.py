"""Registers: read, write, and compare-and-set, judged for linearizability key by key.

A compare-and-set expects the value that was last seen of its key, by any client, so that
most of them can succeed and those that race must not all do so. Values are unique, so that a
read names its write and zones suffice to judge; or they repeat (`values=repeated`), as a store's
own tests have them, and judging takes a search. Therefore keys are given up after `per_key`
operations, and every key that was used is read in the end.
Catches stale reads, writes that are gone, two compare-and-sets that both replaced one value.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from dynamesis.checkers.history.op import Op
from dynamesis.harness.generators import Rng
from dynamesis.workloads.base import DISTRIBUTION, Workload
from dynamesis.workloads.plain.common import life, reads_share, rotating
from dynamesis.workloads.script.rotating_keys import RotatingKeys
from dynamesis.workloads.script.settings import Load, Option
from dynamesis.workloads.script.shared import WHOLE, Share, SharedScript


@dataclass(frozen=True)
class RegisterScript:
    """`reads` and `cas`: shares of the operations; `span`: how many values there are, 0 for one
    that is new each time; `number`: values so far; `part`:
    whose values they are; `known`: by key the value that was last seen
    of it."""

    rng: Rng
    keys: RotatingKeys
    reads: float
    cas: float
    span: int
    number: int = 0
    part: Share = WHOLE
    known: Mapping[str, Any] = field(default_factory=dict)

    def next(self, process: int, now: int) -> tuple[Op, SharedScript]:
        """A read, or a write, or a compare-and-set where a value is known."""
        slot, rng = self.keys.pick(self.rng)
        read, rng = rng.chance(self.reads)
        swaps, rng = rng.chance(self.cas / (1 - self.reads) if self.reads < 1 else 0.0)
        key, keys = self.keys.key(slot), self.keys.used(slot)
        if read:
            return Op(f="read", key=key), replace(self, rng=rng, keys=keys)
        value, rng = self._value(rng)
        after = replace(self, rng=rng, keys=keys, number=self.number + 1)
        old = self.known.get(key)
        if swaps and old is not None:
            return Op(f="cas", key=key, value=[old, value]), after
        return Op(f="write", key=key, value=value), after

    def _value(self, rng: Rng) -> tuple[int, Rng]:
        if self.span:
            return rng.between(1, self.span)
        return self.part.number_of(self.number) + 1, rng

    def share(self, share: Share) -> SharedScript:
        """A compare-and-set aims at the value that the share's own clients have seen."""
        return replace(self, rng=share.stream(self.rng), keys=self.keys.share(share), part=share)

    def saw(self, asked: Op, done: Op) -> SharedScript:
        """An answer shows what a key holds."""
        if done.type != "ok" or asked.key is None:
            return self
        value = done.value if asked.f == "read" else asked.value
        if asked.f == "cas":
            value = asked.value[1]
        known = {key: seen for key, seen in self.known.items() if key != asked.key}
        if len(known) >= 2 * len(self.keys.slots.items):  # of a key that was given up
            del known[next(iter(known))]
        return replace(self, known={**known, asked.key: value})


def _shared(load: Load) -> SharedScript:
    span = int(load.options["range"]) if load.options["values"] == "repeated" else 0
    reads, cas = load.number("reads"), float(load.options.get("cas", 0.0))
    return RegisterScript(load.rng, rotating(load, "per_key"), reads, min(cas, 1 - reads), span)


REGISTER = Workload(
    name="register",
    description="reads, writes and compare-and-sets of registers: catches stale reads, lost "
    "updates, and whatever else is not linearizable",
    shared=_shared,
    model="cas-register",
    operations=("read", "write", "cas"),
    options={
        "distribution": DISTRIBUTION,
        "reads": reads_share(0.5),
        "cas": Option(0.25, (0.0, 1.0), "share of operations that compare and set, at most what "
                      "reads leave"),
        "values": Option("unique", ("unique", "repeated"), "whether a value is written once"),
        "range": Option(5, (1, 1000), "how many values there are, if they repeat"),
        "per_key": life(200, "operations"),
    },
)  # fmt: skip

READ_WRITE = Workload(
    name="read-write",
    description="as register, for stores without a compare-and-set: catches stale reads and writes "
    "that are gone",
    shared=_shared,
    model=REGISTER.model,
    operations=("read", "write"),
    options={name: option for name, option in REGISTER.options.items() if name != "cas"},
)
