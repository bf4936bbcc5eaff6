"""Writers without context: most writes replace nothing, and now and then a client that
has read replaces all siblings by one version.

Every blind write must stay until it was read and replaced, however many there are at one
node at one time. Catches nodes that stamp a version from the context alone, so that two
blind writes get one clock (lost-write), and clocks merged into the siblings, so that what
was replaced stays (false-sibling).
"""

from __future__ import annotations

from dynamesis.workloads.base import DISTRIBUTION, Load, Workload
from dynamesis.workloads.read_modify_write import write_unique
from dynamesis.workloads.script.modification import ReadModifyWrite, mix_options
from dynamesis.workloads.script.script import Script


def _script(load: Load) -> Script:
    return ReadModifyWrite.of(load, write_unique)


BLIND = Workload(
    name="blind",
    description="most writers send no context: catches concurrent versions that overwrite each "
    "other, and replaced ones that stay",
    script=_script,
    options={
        "distribution": DISTRIBUTION,
        **mix_options(blind=0.75, chained=0.0),
    },
)
