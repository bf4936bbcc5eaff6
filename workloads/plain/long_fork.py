"""Single writes to keys of a group, while others read the whole group: no two reads may see two
writes in opposite orders.

Each key is written once. A few groups are open at a time, so that their writes and reads meet; a
group whose keys were all written is read for a while, and then gives way to the next.
Catches what parallel snapshot isolation allows and snapshot isolation forbids (`long-fork`), and
values that no client wrote.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from dynamesis.checkers.history.op import Op
from dynamesis.harness import generators as gen
from dynamesis.harness.generators import Rng
from dynamesis.workloads.base import Chosen, Workload
from dynamesis.workloads.plain.common import reads_share
from dynamesis.workloads.script.settings import Load, Option
from dynamesis.workloads.script.shared import SharedScript


@dataclass(frozen=True)
class Group:
    """`written`: how many of its keys writes have begun for; `closing`: reads that it still gets
    once all were written."""

    number: int
    written: int
    closing: int


@dataclass(frozen=True)
class Forks:
    """`reads`: share of operations that read; `size`: keys of a group; `begun`: groups so far;
    `linger`: reads of a group that is written."""

    rng: Rng
    reads: float
    size: int
    linger: int
    open: tuple[Group, ...]
    begun: int

    def next(self, process: int, now: int) -> tuple[Op, SharedScript]:
        """A read of an open group, or a write of its next key."""
        place, rng = self.rng.below(len(self.open))
        group = self.open[place]
        read, rng = rng.chance(self.reads)
        names = keys_of_group(group.number, self.size)
        if not read and group.written < self.size:
            after = replace(group, written=group.written + 1)
            op = Op(f="txn", value=[["w", names[group.written], 1]])
            return op, self._with(place, after, rng)
        after = replace(group, closing=group.closing - (group.written == self.size))
        op = Op(f="txn", value=[["r", name, None] for name in names])
        return op, self._with(place, after, rng)

    def _with(self, place: int, group: Group, rng: Rng) -> Forks:
        begun = self.begun
        if group.closing < 0:
            group, begun = Group(begun, 0, self.linger), begun + 1
        groups = (*self.open[:place], group, *self.open[place + 1 :])
        return replace(self, open=groups, begun=begun, rng=rng)

    def saw(self, asked: Op, done: Op) -> SharedScript:
        """Nothing is learned from answers."""
        return self


def keys_of_group(number: int, size: int) -> tuple[str, ...]:
    """The keys of a group: `f7.0`, `f7.1`, ..."""
    return tuple(f"f{number}.{i}" for i in range(size))


def _shared(load: Load) -> SharedScript:
    count, linger = int(load.options["groups"]), int(load.options["linger"])
    groups = tuple(Group(number, 0, linger) for number in range(count))
    size = int(load.options["size"])
    return Forks(load.rng, load.number("reads"), size, linger, groups, count)


def _final(keys: Sequence[str], chosen: Chosen) -> Iterable[Op]:
    """A read of every group that was used."""
    used = dict.fromkeys(key.rpartition(".")[0] for key in keys if "." in key)
    for prefix in used:
        names = keys_of_group(int(prefix[1:]), int(chosen["size"]))
        yield gen.invoke("txn", value=[["r", name, None] for name in names])


LONG_FORK = Workload(
    name="long-fork",
    description="writes of single keys, reads of several: catches reads that see two writes in "
    "opposite orders",
    shared=_shared,
    model="long-fork",
    operations=("txn",),
    final=_final,
    options={
        "reads": reads_share(0.7),
        "size": Option(3, (2, 20), "keys of a group, which are read together"),
        "groups": Option(3, (1, 100), "groups that are open at a time"),
        "linger": Option(6, (0, 1000), "reads of a group after its last write has begun"),
    },
)
