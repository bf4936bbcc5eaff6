"""Registers of unique values: read-modify-write with the context, and a share of writes
without one.

A blind write replaces nothing, so it must stand beside whatever was there until somebody
who has seen it writes; and a write that comes, by a client's mistake, with the context of
another key must be refused, or replace nothing. Catches stores that take the last writer's
word (lost-write), that drop concurrent versions or keep replaced ones (false-sibling), and,
since every value is written once, values that are altered or mixed up.
"""

from __future__ import annotations

from harness.generators import Rng

from .base import DISTRIBUTION, Load, Workload
from .modify import Change, ReadModifyWrite, Seen, Shares, share_options
from .script import Script


def write_unique(rng: Rng, seen: Seen) -> tuple[Change, Rng]:
    """An integer that nobody else writes."""
    return Change(seen.number), rng


def _script(load: Load) -> Script:
    return ReadModifyWrite(load.rng, load.distribution(), write_unique, Shares.of(load))


REGISTER = Workload(
    name="register",
    description="unique values, written with the context that was read or blindly: catches "
    "lost writes, false siblings, altered values",
    script=_script,
    twins=8,
    options={"distribution": DISTRIBUTION, **share_options(blind=0.25, foreign=0.03)},
)
