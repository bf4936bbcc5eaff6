"""Transactions over lists that are appended to (`append`), and over registers (`rw`).

A transaction is one to `longest` micro-operations, each a read or a write of a key; a value is
written to a key once. A key gets `per_key` writes and is then given up, so that lists stay short.
In the end every key that was used is read, several in a transaction.
Catches, by Elle (Kingsbury and Alvaro 2020), what `consistency` forbids: lost updates, read skew,
write skew, dirty and fractured reads, lists that lost what was appended.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from dynamesis.checkers.history.op import Op
from dynamesis.harness import generators as gen
from dynamesis.harness.generators import Rng
from dynamesis.workloads.base import DISTRIBUTION, Chosen, Workload
from dynamesis.workloads.plain.common import CONSISTENCY, life, reads_share, rotating
from dynamesis.workloads.script.rotating_keys import RotatingKeys
from dynamesis.workloads.script.settings import Load, Option
from dynamesis.workloads.script.shared import WHOLE, Share, SharedScript

#: keys that one final transaction reads
TOGETHER = 4


@dataclass(frozen=True)
class TransactionScript:
    """`write`: the name of the micro-operation that writes, `append` or `w`; `reads`: the share
    that reads; `longest`: micro-operations of the longest transaction; `part`: whose values
    are written."""

    rng: Rng
    keys: RotatingKeys
    write: str
    reads: float
    longest: int
    part: Share = WHOLE

    def next(self, process: int, now: int) -> tuple[Op, SharedScript]:
        """A transaction of random length."""
        count, rng = self.rng.between(1, self.longest)
        keys = self.keys
        mops: list[list[Any]] = []
        for _ in range(count):
            slot, rng = keys.pick(rng)
            read, rng = rng.chance(self.reads)
            if read:
                mops.append(["r", keys.key(slot), None])
            else:
                value = self.part.number_of(keys.age(slot)) + 1
                mops.append([self.write, keys.key(slot), value])
                keys = keys.used(slot)
        return Op(f="txn", value=mops), replace(self, rng=rng, keys=keys)

    def saw(self, asked: Op, done: Op) -> SharedScript:
        """Nothing is learned from answers."""
        return self

    def share(self, share: Share) -> SharedScript:
        """All write to the same keys, none a value that another one writes there."""
        return replace(self, rng=share.stream(self.rng), keys=self.keys.share(share), part=share)


def read_groups(keys: Sequence[str], size: int) -> Iterable[Op]:
    """Transactions that read every key, so many concurrently."""
    for start in range(0, len(keys), size):
        group = keys[start : start + size]
        yield gen.invoke("txn", value=[["r", key, None] for key in group])


def _shared(write: str, load: Load) -> SharedScript:
    longest = int(load.options["longest"])
    return TransactionScript(
        load.rng, rotating(load, "per_key"), write, load.number("reads"), longest
    )


def _final(keys: Sequence[str], _: Chosen) -> Iterable[Op]:
    return read_groups(keys, TOGETHER)


def _consistency(chosen: Chosen) -> Mapping[str, Any]:
    return {"consistency_models": [chosen["consistency"]]}


_OPTIONS = {
    "distribution": DISTRIBUTION,
    "reads": reads_share(0.5, "read, of those in a transaction"),
    "longest": Option(4, (1, 100), "operations of the longest transaction"),
    "per_key": life(32, "writes"),
    "consistency": Option("strict-serializable", CONSISTENCY, "what the store promises"),
}

APPEND = Workload(
    name="append",
    description="transactions that append to lists and read them: catches lost updates, skew, "
    "dirty reads, whatever the consistency model forbids",
    shared=partial(_shared, "append"),
    model="list-append",
    model_options=_consistency,
    operations=("txn",),
    final=_final,
    options=_OPTIONS,
)

RW = Workload(
    name="rw",
    description="transactions that write unique values to registers and read them: catches lost "
    "updates, skew, dirty reads, as far as single values show them",
    shared=partial(_shared, "w"),
    model="rw-register",
    model_options=_consistency,
    operations=("txn",),
    final=_final,
    options=_OPTIONS,
)
