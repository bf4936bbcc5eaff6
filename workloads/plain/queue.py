"""Queues: unique elements are enqueued and dequeued, and what is left is drained in the end.

A drain dequeues until the queue is empty. Each queue is drained by itself; a drain that broke
off is begun again.
Catches elements that were acknowledged and never come out (`lost`), come out twice (`duplicated`),
come out without having been put in (`unexpected`), or, with `order=fifo`, not in the order in
which their producer put them in (`reordered`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from dynamesis.checkers.history.op import Op
from dynamesis.harness import generators as gen
from dynamesis.harness.generators import Rng
from dynamesis.workloads.base import DISTRIBUTION, Chosen, Workload
from dynamesis.workloads.script.settings import Load, Option
from dynamesis.workloads.script.shared import Drawn, SharedScript


def _shared(load: Load) -> SharedScript:
    keys, enqueues = load.distribution(), load.number("enqueues")

    def draw(rng: Rng, number: int) -> tuple[Op, Rng]:
        key, rng = keys.pick(rng)
        puts, rng = rng.chance(enqueues)
        return (Op(f="enqueue", key=key, value=number) if puts else Op(f="dequeue", key=key)), rng

    return Drawn(load.rng, draw)


def _final(keys: Sequence[str], _: Chosen) -> Iterable[Op]:
    return [gen.invoke("drain", key=key) for key in keys]


def _promised(chosen: Chosen) -> Mapping[str, Any]:
    return {
        "fifo": chosen["order"] == "fifo",
        "at_least_once": chosen["delivery"] == "at-least-once",
    }


QUEUE = Workload(
    name="queue",
    description="elements enqueued and dequeued: catches elements that are lost, duplicated, made "
    "up or out of order",
    shared=_shared,
    model="queue",
    model_options=_promised,
    operations=("enqueue", "dequeue", "drain"),
    final=_final,
    options={
        "distribution": DISTRIBUTION,
        "enqueues": Option(0.55, (0.0, 1.0), "share of operations that enqueue"),
        "order": Option("fifo", ("fifo", "any"), "in which elements of one producer come out"),
        "delivery": Option("once", ("once", "at-least-once"), "how often an element comes out"),
    },
)
