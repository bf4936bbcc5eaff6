"""Nine operations in ten on one key, from clients who read, go on from their own last
write, or write blindly.

The writers of one key interleave at all of its replicas at once, which is where a store
must keep the most apart: a hundred interleaved writes of two clients leave two siblings,
not a hundred (sibling_explosion in riak_test). Catches repair that overwrites what was
written meanwhile (lost-write), false siblings, and replicas that never agree.
"""

from __future__ import annotations

from harness.generators.distributions import hot_key

from .base import Load, Option, Workload
from .modify import ReadModifyWrite
from .register import write_unique
from .script import Script


def _script(load: Load) -> Script:
    return ReadModifyWrite(
        load.rng,
        hot_key(load.keys, load.number("share")),
        write_unique,
        blind=load.number("blind"),
        chained=load.number("chained"),
    )


HOT_KEY = Workload(
    name="hot-key",
    description="most operations on one key: catches interleaved writers who overwrite each "
    "other, or whose replaced versions pile up",
    script=_script,
    options={
        "share": Option(0.9, (0.01, 1.0), "share of operations on the first key"),
        "blind": Option(0.2, (0.0, 1.0), "share of cycles that write without a context"),
        "chained": Option(0.5, (0.0, 1.0), "share of writes that go on from the last write"),
    },
)
