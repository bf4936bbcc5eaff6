"""Many keys, each written a few times: spread over the ring, or crowded.

Every partition of the ring then holds something, so that whatever moves, rebuilds or
compares partitions has something to lose: transfers on a membership change, Merkle trees
with more than one leaf in use, hints for many keys together. Catches what is left behind
(lost-write, divergence) and what is not cleaned up (misplaced).

Nodes compare partitions by 32 leaves at a time and delete what they no longer own by 256
rows. `crowded` has several hundred keys in the partition of each key that it is given, and
writes all of them once before anything else, so that there are second batches.
"""

from __future__ import annotations

from dataclasses import replace

from dynamesis.workloads.base import DISTRIBUTION, Load, Option, Workload
from dynamesis.workloads.read_modify_write import write_unique
from dynamesis.workloads.script.filling import filling
from dynamesis.workloads.script.modification import ReadModifyWrite, mix_options
from dynamesis.workloads.script.script import Script

#: Keys for each key that is asked for.
SPREAD = 100


#: ... where all of them lie in one partition: more than are compared, or deleted, in one request.
CROWD = 300

FILL = Option(0.0, (0.0, 1.0), "share of the keys that are written first, once each")


def _script(load: Load) -> Script:
    return filling(load, load.number("fill"), ReadModifyWrite.of(load, write_unique))


BULK = Workload(
    name="bulk",
    description=f"{SPREAD} times as many keys, each written seldom: catches what transfers, "
    "trees and hints leave behind",
    script=_script,
    spread=SPREAD,
    options={
        "distribution": replace(DISTRIBUTION, default="uniform"),
        "fill": FILL,
        **mix_options(blind=0.5, chained=0.1),
    },
)

CROWDED = Workload(
    name="crowded",
    description=f"{CROWD} keys in one partition for each that is asked for: catches what "
    "transfers and exchanges leave out after their first batch",
    script=_script,
    spread=CROWD,
    packed=True,
    options={**BULK.options, "fill": replace(FILL, default=1.0)},
)
