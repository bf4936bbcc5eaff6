"""The final reads: each key once through a coordinator, again where that failed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from dynamesis.checkers.history.op import Op
from dynamesis.harness import generators as gen
from dynamesis.harness.generators import PENDING, Context, Generator, Step

#: how often a key is tried before it is given up
ATTEMPTS = 5


@dataclass(frozen=True)
class FinalReads:
    """`at`: the first of the keys that was not tried yet; `again`: keys to try once more,
    with the attempts that each has left; `reading`: key and attempts left by the process
    that reads it now."""

    keys: tuple[str, ...]
    at: int = 0
    again: tuple[tuple[str, int], ...] = ()
    reading: Mapping[int | str, tuple[str, int]] = field(default_factory=dict)

    def op(self, ctx: Context) -> Step:
        fresh = self.at < len(self.keys)
        if not fresh and not self.again:
            return (PENDING, self) if self.reading else None
        key, left = (self.keys[self.at], ATTEMPTS) if fresh else self.again[0]
        step = gen.assign(gen.invoke("get", key=key), ctx)
        if not isinstance(step, Op):
            return PENDING, self
        reading = {**self.reading, step.process: (key, left - 1)}
        if fresh:
            return step, replace(self, at=self.at + 1, reading=reading)
        return step, replace(self, again=self.again[1:], reading=reading)

    def update(self, ctx: Context, event: Op) -> Generator | None:
        if event.type == "invoke" or event.process not in self.reading:
            return self
        reading = dict(self.reading)
        key, left = reading.pop(event.process)
        again = ((key, left),) if event.type != "ok" and left else ()
        return replace(self, again=(*self.again, *again), reading=reading)


def final_reads(keys: Iterable[str]) -> Generator:
    """One ok get of every key, as many at once as there are clients, each key tried at
    most ATTEMPTS times."""
    return gen.clients(FinalReads(tuple(keys)))
