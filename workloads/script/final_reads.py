"""The final reads: each once through a coordinator, later again where that failed."""

from __future__ import annotations

from bisect import bisect
from collections.abc import Iterable, Mapping

import msgspec
from dynamesis.checkers.history.op import Op
from dynamesis.harness import generators as gen
from dynamesis.harness.generators import PENDING, Context, Generator, Pending, Step

#: how often a read is tried before it is given up
ATTEMPTS = 5
#: The second try is this long after the first failed, ns; each further try waits twice as long.
WAIT = 100_000_000
#: So many reads succeed before one more is performed at the same time.
_EASED = 10
#: the code of a refusal by a store that has too much to do
_OVERLOADED = "overloaded"


class Retry(msgspec.Struct, frozen=True, order=True):
    """A read to try once more, not before `due` (ns); `left`: the tries that it has."""

    due: int
    read: int
    left: int


class Pace(msgspec.Struct, frozen=True):
    """How many reads are performed at the same time: as many as there are clients, half as many
    after each refusal for overload, one more after each _EASED that succeeded. Else the final
    reads would keep a store with fewer places than clients overloaded, and each other away."""

    most: int | None = None
    eased: int = 0

    def lets(self, reading: int) -> bool:
        return self.most is None or reading < self.most

    def after(self, event: Op, reading: int) -> Pace:
        """After the completion of one of `reading` reads."""
        if event.type != "ok":
            crowded = event.error is not None and event.error.code == _OVERLOADED
            return Pace(max(1, min(self.most or reading, reading) // 2)) if crowded else self
        if self.most is None:
            return self
        if self.eased + 1 < _EASED:
            return Pace(self.most, self.eased + 1)
        return Pace(self.most + 1)


class FinalReads(msgspec.Struct, frozen=True):
    """`at`: the first of the reads that was not tried yet; `again`: those to try once more, the
    first due first; `reading`: which read, and with how many tries left, each process performs."""

    reads: tuple[Op, ...]
    at: int = 0
    again: tuple[Retry, ...] = ()
    reading: Mapping[int | str, tuple[int, int]] = {}
    pace: Pace = Pace()

    def op(self, ctx: Context) -> Step:
        fresh = self.at < len(self.reads)
        if not fresh and not self.again:
            return (PENDING, self) if self.reading else None
        if not self.pace.lets(len(self.reading)):
            return PENDING, self
        if not fresh and self.again[0].due > ctx.time:
            return Pending(self.again[0].due), self
        read, left = (self.at, ATTEMPTS) if fresh else (self.again[0].read, self.again[0].left)
        step = gen.assign(self.reads[read], ctx)
        if not isinstance(step, Op):
            return PENDING, self
        reading = {**self.reading, step.process: (read, left - 1)}
        if fresh:
            return step, msgspec.structs.replace(self, at=self.at + 1, reading=reading)
        return step, msgspec.structs.replace(self, again=self.again[1:], reading=reading)

    def update(self, ctx: Context, event: Op) -> Generator | None:
        if event.type == "invoke" or event.process not in self.reading:
            return self
        reading = dict(self.reading)
        read, left = reading.pop(event.process)
        again = self.again
        if event.type != "ok" and left:
            wait = WAIT << (ATTEMPTS - 1 - left)
            later = Retry(event.time + wait, read, left)
            place = bisect(again, later)
            again = (*again[:place], later, *again[place:])
        pace = self.pace.after(event, len(self.reading))
        return FinalReads(self.reads, self.at, again, reading, pace)


def final_reads(keys: Iterable[str], f: str = "get") -> Generator:
    """One ok `f` of every key, as many concurrently as there are clients, each key tried at
    most ATTEMPTS times."""
    return each_once(gen.invoke(f, key=key) for key in keys)


def each_once(reads: Iterable[Op]) -> Generator:
    """Each of these operations (harness.generators.invoke) until it is ok, as many concurrently
    as there are clients, each tried at most ATTEMPTS times."""
    return gen.clients(FinalReads(tuple(reads)))


def on_each(nodes: tuple[str, ...], reads: Iterable[Op]) -> Iterable[Op]:
    """Each of these operations on every node: its field `node` names the one to ask."""
    return [msgspec.structs.replace(read, node=node) for read in reads for node in nodes]
