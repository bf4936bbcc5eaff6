"""Values from a few bytes to the limit, and some beyond it.

The history holds of a value only a number and the length of its padding; the client pads
what it stores, and checks the padding of what it reads. Catches values that are cut,
mixed up or torn on the way or on the disk (altered-value), and a refused value that is
stored all the same (aborted-read); fills buffers, frames and links as small ones never do.
"""

from __future__ import annotations

import math

from dynamesis.harness.generators import Rng
from dynamesis.workloads.base import DISTRIBUTION, Load, Option, Workload
from dynamesis.workloads.script.modification import (
    Modification,
    Modify,
    ReadModifyWrite,
    SeenValues,
    mix_options,
)
from dynamesis.workloads.script.script import Script

#: The limit of a value in bytes, as nodes have it by default.
LIMIT = 1 << 20


def padding(largest: int, oversized: float) -> Modify:
    """Values padded by 1 to `largest` bytes, every order of magnitude as likely as every
    other, and a share of them by more than a node takes."""

    def modify(rng: Rng, seen: SeenValues) -> tuple[Modification, Rng]:
        magnitude, rng = rng.uniform(0.0, math.log(largest))
        over, rng = rng.chance(oversized)
        pad = LIMIT + 1 if over else round(math.exp(magnitude))
        return Modification({"n": seen.number, "pad": pad}), rng

    return modify


def _script(load: Load) -> Script:
    modify = padding(int(load.options["largest"]), load.number("oversized"))
    return ReadModifyWrite.of(load, modify)


LARGE_VALUES = Workload(
    name="large-values",
    description="values up to the limit and beyond: catches cut or altered values, and refused "
    "ones that were stored",
    script=_script,
    options={
        "distribution": DISTRIBUTION,
        "largest": Option(1 << 18, (2, LIMIT - 256), "largest padding, bytes"),
        "oversized": Option(0.02, (0.0, 1.0), "share of writes beyond what a node takes"),
        **mix_options(chained=0.0),
    },
)
