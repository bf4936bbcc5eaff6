"""Registers of unique values: read-modify-write with the context, and a share of writes
without one.

A blind write replaces nothing, so it must stand beside whatever was there until somebody
who has seen it writes. Catches stores that take the last writer's word (lost-write), that
drop concurrent versions or keep replaced ones (false-sibling), and, since every value is
written once, values that are altered or mixed up.
"""

from __future__ import annotations

from harness.generators import Rng

from .base import DISTRIBUTION, Load, Option, Workload
from .modify import Change, ReadModifyWrite, Seen
from .script import Script


def write_unique(rng: Rng, seen: Seen) -> tuple[Change, Rng]:
    """An integer that nobody else writes."""
    return Change(seen.number), rng


def _script(load: Load) -> Script:
    return ReadModifyWrite(
        load.rng,
        load.distribution(),
        write_unique,
        blind=load.number("blind"),
        chained=load.number("chained"),
    )


REGISTER = Workload(
    name="register",
    description="unique values, written with the context that was read or blindly: catches "
    "lost writes, false siblings, altered values",
    script=_script,
    options={
        "distribution": DISTRIBUTION,
        "blind": Option(0.25, (0.0, 1.0), "share of cycles that write without a context"),
        "chained": Option(0.1, (0.0, 1.0), "share of writes that go on from the last write"),
    },
)
