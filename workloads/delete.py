"""Create, delete, create again.

A tombstone is a version like any other: it stays until all replicas have it, and what is
created after it replaces it, while what was created beside it stays beside it. Catches
deletes that leave no trace, so that a replica that was away brings the old value back
(resurrection), tombstones that swallow a new value (lost-write), and tombstones reaped on
some replicas only (divergence). A few keys see most of the traffic, and many are left
alone once they were deleted: only there does what comes back stay to be seen.
"""

from __future__ import annotations

from dynamesis.harness.generators import Rng
from dynamesis.workloads.base import DISTRIBUTION, Load, Option, Workload
from dynamesis.workloads.script.modification import (
    Modification,
    Modify,
    OperationMix,
    ReadModifyWrite,
    SeenValues,
    mix_options,
)
from dynamesis.workloads.script.script import Script

#: Keys for each key that is asked for.
SPREAD = 10


def deleting(share: float) -> Modify:
    """Delete what is there with this probability, else write a new value; what is not
    there is created."""

    def modify(rng: Rng, seen: SeenValues) -> tuple[Modification, Rng]:
        delete, rng = rng.chance(share)
        if delete and seen.values:
            return Modification(delete=True), rng
        return Modification(seen.number), rng

    return modify


def _script(load: Load) -> Script:
    return ReadModifyWrite(
        load.rng,
        load.distribution(),
        deleting(load.number("deletes")),
        OperationMix.of(load),
        setting=load.setting,
    )


DELETE = Workload(
    name="delete",
    description="create, delete and re-create: catches deleted values that come back and new "
    "ones that a tombstone swallows",
    script=_script,
    spread=SPREAD,
    options={
        "distribution": DISTRIBUTION,
        **mix_options(),
        "deletes": Option(0.5, (0.0, 1.0), "share of writes that delete what is there"),
    },
)
