"""A workload of reads and writes without contexts: unique values, so that the model `register`
judges it in no time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from dynamesis.harness import generators as gen
from dynamesis.harness.generators import Context, Generator, Rng, Step

from dynamesis import Op, Workload


@dataclass(frozen=True)
class Mix:
    """A read or a write of a key, drawn; every write has a number of its own."""

    rng: Rng
    keys: tuple[str, ...]
    number: int = 1

    def op(self, ctx: Context) -> Step:
        key, rng = self.rng.choice(self.keys)
        read, rng = rng.chance(0.5)
        op = Op(f="read", key=key) if read else Op(f="write", key=key, value=self.number)
        step = gen.assign(msgspec.structs.replace(op, type="invoke"), ctx)
        if not isinstance(step, Op):
            return step, self
        return step, Mix(rng, self.keys, self.number + 1)

    def update(self, ctx: Context, event: Op) -> Generator | None:
        return self


class Plain(Workload):
    def generator(
        self,
        rng: Rng,
        keys: Sequence[str],
        rate: float,
        options: Mapping[str, Any] | None = None,
        setting: object = None,
    ) -> Generator:
        mix = gen.clients(Mix(rng.split("mix"), tuple(keys)))
        return gen.rate(rate, mix, rng.split("rate"), "clumped")

    def final_generator(self, keys: Iterable[str], *_: Any) -> Generator:
        return gen.concat(*(gen.clients(gen.invoke("read", key=key)) for key in keys))


PLAIN = Plain(
    name="plain",
    description="reads and writes",
    model="register",
    operations=("read", "write"),
)
