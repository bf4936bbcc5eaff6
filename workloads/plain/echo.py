"""Echoes: clients send a payload, and want that same payload back (`wrong-echo`).

There is nothing to read in the end: every answer is in the history.
"""

from __future__ import annotations

from dynamesis.checkers.history.op import Op
from dynamesis.harness.generators import Rng
from dynamesis.workloads.base import Workload
from dynamesis.workloads.plain.common import nothing_final
from dynamesis.workloads.script.settings import Load
from dynamesis.workloads.script.shared import Drawn, SharedScript


def _ask(rng: Rng, number: int) -> tuple[Op, Rng]:
    return Op(f="echo", value=f"Please echo {number}"), rng


def _shared(load: Load) -> SharedScript:
    return Drawn(load.rng, _ask)


ECHO = Workload(
    name="echo",
    description="payloads sent to be echoed: catches an answer with another payload",
    shared=_shared,
    model="echo",
    operations=("echo",),
    final=nothing_final,
)
