"""The final reads: each once through a coordinator, again where that failed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec
from dynamesis.checkers.history.op import Op
from dynamesis.harness import generators as gen
from dynamesis.harness.generators import PENDING, Context, Generator, Step

#: how often a read is tried before it is given up
ATTEMPTS = 5


class FinalReads(msgspec.Struct, frozen=True):
    """`at`: the first of the reads that was not tried yet; `again`: reads to try once more,
    with the attempts that each has left; `reading`: read and attempts left by the process
    that performs it now."""

    reads: tuple[Op, ...]
    at: int = 0
    again: tuple[tuple[Op, int], ...] = ()
    reading: Mapping[int | str, tuple[Op, int]] = {}

    def op(self, ctx: Context) -> Step:
        fresh = self.at < len(self.reads)
        if not fresh and not self.again:
            return (PENDING, self) if self.reading else None
        read, left = (self.reads[self.at], ATTEMPTS) if fresh else self.again[0]
        step = gen.assign(read, ctx)
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
        again = ((read, left),) if event.type != "ok" and left else ()
        return msgspec.structs.replace(self, again=(*self.again, *again), reading=reading)


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
