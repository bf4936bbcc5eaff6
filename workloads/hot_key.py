"""Nine operations in ten on one key, from clients that read, continue from their own last
write, or write blindly.

The writers of one key interleave at all of its replicas concurrently, which is where a store
must keep the most apart: a hundred interleaved writes of two clients leave two siblings,
not a hundred (sibling_explosion in riak_test). Catches repair that overwrites what was
written meanwhile (lost-write), false siblings, and replicas that never agree.
"""

from __future__ import annotations

from dynamesis.harness.generators.distributions import hot_key
from dynamesis.workloads.base import Load, Option, Workload
from dynamesis.workloads.read_modify_write import write_unique
from dynamesis.workloads.script.modification import ReadModifyWrite, mix_options
from dynamesis.workloads.script.script import Script


def _script(load: Load) -> Script:
    keys = hot_key(load.keys, load.number("share"))
    return ReadModifyWrite.of(load, write_unique, keys)


HOT_KEY = Workload(
    name="hot-key",
    description="most operations on one key: catches interleaved writers that overwrite each "
    "other, or whose replaced versions pile up",
    script=_script,
    options={
        "share": Option(0.9, (0.01, 1.0), "share of operations on the first key"),
        **mix_options(blind=0.2, chained=0.5),
    },
)
