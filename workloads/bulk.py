"""Many keys, each written a few times.

Every partition of the ring then holds something, so that whatever moves, rebuilds or
compares partitions has something to lose: transfers on a membership change, Merkle trees
with more than one leaf in use, hints for many keys at once. Catches what is left behind
(lost-write, divergence) and what is not cleaned up (misplaced).
"""

from __future__ import annotations

from dataclasses import replace

from .base import DISTRIBUTION, Load, Workload
from .modify import ReadModifyWrite, Shares, share_options
from .register import write_unique
from .script import Script

#: Keys for each key that is asked for.
SPREAD = 100


def _script(load: Load) -> Script:
    return ReadModifyWrite(load.rng, load.distribution(), write_unique, Shares.of(load))


BULK = Workload(
    name="bulk",
    description=f"{SPREAD} times as many keys, each written seldom: catches what transfers, "
    "trees and hints leave behind",
    script=_script,
    spread=SPREAD,
    options={
        "distribution": replace(DISTRIBUTION, default="uniform"),
        **share_options(blind=0.5, chained=0.1),
    },
)
