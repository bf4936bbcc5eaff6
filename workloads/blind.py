"""Writers without context: most writes replace nothing, and now and then somebody who has
read puts one version in the place of all that stand.

Every blind write must stay until it was read and replaced, however many there are at one
node at one time. Catches nodes that stamp a version from the context alone, so that two
blind writes get one clock (lost-write), and clocks merged into the siblings, so that what
was replaced stays (false-sibling).
"""

from __future__ import annotations

from .base import DISTRIBUTION, Load, Option, Workload
from .modify import ReadModifyWrite
from .register import write_unique
from .script import Script


def _script(load: Load) -> Script:
    return ReadModifyWrite(
        load.rng, load.distribution(), write_unique, blind=load.number("blind"), chained=0.0
    )


BLIND = Workload(
    name="blind",
    description="most writers send no context: catches concurrent versions that overwrite each "
    "other, and replaced ones that stay",
    script=_script,
    options={
        "distribution": DISTRIBUTION,
        "blind": Option(0.75, (0.0, 1.0), "share of cycles that write without a context"),
    },
)
