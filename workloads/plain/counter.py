"""Counters: amounts are added, a read shows the sum.

Catches sums that lack what was acknowledged, or hold what was never added (`out-of-bounds`).
"""

from __future__ import annotations

from dynamesis.checkers.history.op import Op
from dynamesis.harness.generators import Rng
from dynamesis.workloads.base import DISTRIBUTION, Workload
from dynamesis.workloads.plain.common import reads_share
from dynamesis.workloads.script.settings import Load, Option
from dynamesis.workloads.script.shared import Drawn, SharedScript


def _shared(load: Load) -> SharedScript:
    keys, reads, down = load.distribution(), load.number("reads"), load.number("decrements")
    largest = int(load.options["largest"])

    def draw(rng: Rng, _: int) -> tuple[Op, Rng]:
        key, rng = keys.pick(rng)
        read, rng = rng.chance(reads)
        if read:
            return Op(f="read", key=key), rng
        amount, rng = rng.between(1, largest)
        negative, rng = rng.chance(down)
        return Op(f="add", key=key, value=-amount if negative else amount), rng

    return Drawn(load.rng, draw)


COUNTER = Workload(
    name="counter",
    description="amounts added to counters: catches sums that lack some, or hold too much",
    shared=_shared,
    model="counter",
    operations=("add", "read"),
    options={
        "distribution": DISTRIBUTION,
        "reads": reads_share(0.3),
        "decrements": Option(0.0, (0.0, 1.0), "share of the additions that are negative"),
        "largest": Option(5, (1, 1_000_000), "the largest amount"),
    },
)
