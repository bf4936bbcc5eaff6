"""Many keys, each written a few times.

Every partition of the ring then holds something, so that whatever moves, rebuilds or
compares partitions has something to lose: transfers on a membership change, Merkle trees
with more than one leaf in use, hints for many keys at once. Catches what is left behind
(lost-write, divergence) and what is not cleaned up (misplaced).
"""

from __future__ import annotations

from .base import DISTRIBUTION, Load, Option, Workload
from .modify import ReadModifyWrite
from .register import write_unique
from .script import Script

#: Keys for each key that is asked for.
SPREAD = 100


def _script(load: Load) -> Script:
    return ReadModifyWrite(
        load.rng, load.distribution(), write_unique, blind=load.number("blind"), chained=0.0
    )


BULK = Workload(
    name="bulk",
    description=f"{SPREAD} times as many keys, each written seldom: catches what transfers, "
    "trees and hints leave behind",
    script=_script,
    spread=SPREAD,
    options={
        "distribution": DISTRIBUTION,
        "blind": Option(0.5, (0.0, 1.0), "share of cycles that write without a context"),
    },
)
