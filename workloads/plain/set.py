"""Grow-only sets: every element is added once, every read shows the whole set.

Catches elements that were added and are gone (`lost-element`), that were refused or never added
and are shown (`aborted-read`, `phantom`), and with `stale=forbidden` reads that lack what was
acknowledged before them (`stale-read`).
"""

from __future__ import annotations

from dynamesis.checkers.history.op import Op
from dynamesis.harness.generators import Rng
from dynamesis.workloads.base import DISTRIBUTION, Workload
from dynamesis.workloads.plain.common import reads_share
from dynamesis.workloads.script.settings import Load, Option
from dynamesis.workloads.script.shared import Drawn, SharedScript


def _shared(load: Load) -> SharedScript:
    keys, reads = load.distribution(), load.number("reads")

    def draw(rng: Rng, number: int) -> tuple[Op, Rng]:
        key, rng = keys.pick(rng)
        read, rng = rng.chance(reads)
        return (Op(f="read", key=key) if read else Op(f="add", key=key, value=number)), rng

    return Drawn(load.rng, draw)


SET = Workload(
    name="set",
    description="elements added to sets: catches elements that are gone, or were never added",
    shared=_shared,
    model="set-full",
    model_options=lambda chosen: {"linearizable": chosen["stale"] == "forbidden"},
    operations=("add", "read"),
    options={
        "distribution": DISTRIBUTION,
        "reads": reads_share(0.1),
        "stale": Option("allowed", ("allowed", "forbidden"), "whether a read of the load may lack "
                        "what was acknowledged before it"),
    },
)  # fmt: skip
