"""Unique ids: clients ask for ids, and none may be given twice (`duplicate-ids`).

There is nothing to read in the end: every id is in the history.
"""

from __future__ import annotations

from dynamesis.checkers.history.op import Op
from dynamesis.harness.generators import Rng
from dynamesis.workloads.base import Workload
from dynamesis.workloads.plain.common import nothing_final
from dynamesis.workloads.script.settings import Load
from dynamesis.workloads.script.shared import Drawn, SharedScript


def _generate(rng: Rng, _: int) -> tuple[Op, Rng]:
    return Op(f="generate"), rng


def _shared(load: Load) -> SharedScript:
    return Drawn(load.rng, _generate)


UNIQUE_IDS = Workload(
    name="unique-ids",
    description="ids generated: catches an id that is given twice",
    shared=_shared,
    model="unique-ids",
    operations=("generate",),
    final=nothing_final,
)
