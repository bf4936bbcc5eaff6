"""The final reads: each key once through a coordinator, again where that failed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from checkers.op import Op
from harness import generators as gen
from harness.generators import PENDING, Context, Generator, Step

#: how often a key is tried before it is given up
ATTEMPTS = 5


@dataclass(frozen=True)
class FinalReads:
    """`waiting`: keys to read, with the attempts that each has left; `reading`: the key
    and the attempts left that each busy process stands for."""

    waiting: tuple[tuple[str, int], ...]
    reading: Mapping[int | str, tuple[str, int]] = field(default_factory=dict)

    def op(self, ctx: Context) -> Step:
        if not self.waiting:
            return (PENDING, self) if self.reading else None
        (key, left), rest = self.waiting[0], self.waiting[1:]
        step = gen.assign(gen.invoke("get", key=key), ctx)
        if not isinstance(step, Op):
            return PENDING, self
        reading = {**self.reading, step.process: (key, left - 1)}
        return step, FinalReads(rest, reading)

    def update(self, ctx: Context, event: Op) -> Generator | None:
        if event.type == "invoke" or event.process not in self.reading:
            return self
        reading = dict(self.reading)
        key, left = reading.pop(event.process)
        again = ((key, left),) if event.type != "ok" and left else ()
        return replace(self, waiting=(*self.waiting, *again), reading=reading)


def final_reads(keys: Iterable[str]) -> Generator:
    """One ok get of every key, as many at once as there are clients, each key tried at
    most ATTEMPTS times."""
    return gen.clients(FinalReads(tuple((key, ATTEMPTS) for key in keys)))
