"""Where the last writer wins: one version a key, and the others are discarded by design.

Half of the writers have not read, so that many writes are concurrent and the store's own
order decides which one stays. What it may not do is keep an older one by that order, keep
two, or none; and replicas must agree. Nor may the order contradict causality: a write that
is dated before what its writer had read loses to it wherever the two meet (misdated).
Catches stores whose order does not hold across nodes (wall clocks as they are, order of
arrival) and that drop on one replica what they keep on another (lost-write, divergence).
How many acknowledged writes were discarded is measured.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from dynamesis.checkers.dynamo.lww import timestamp
from dynamesis.checkers.explain.describe import effect, name
from dynamesis.checkers.graph.causality import Causality
from dynamesis.checkers.graph.run import Run
from dynamesis.checkers.history.pairing import OK
from dynamesis.checkers.verdict import Anomaly, CheckerResult, judge
from dynamesis.workloads.base import DISTRIBUTION, Load, Workload
from dynamesis.workloads.read_modify_write import write_unique
from dynamesis.workloads.script.modification import ReadModifyWrite, mix_options
from dynamesis.workloads.script.script import Script


def _script(load: Load) -> Script:
    return ReadModifyWrite.of(load, write_unique)


def check_dates(run: Run) -> CheckerResult:
    """Every acknowledged write that the store has dated is later than what it followed on."""
    c = run.order
    dated = [v for v in np.flatnonzero(c.outcome == OK).tolist() if timestamp(c, v) is not None]
    return judge((each for v in dated for each in _misdated(c, v)), (), {"dated": len(dated)})


def _misdated(c: Causality, version: int) -> Iterator[Anomaly]:
    h, date = c.history, timestamp(c, version)
    for parent in c.parents_of(version):
        before = timestamp(c, parent)
        if date is not None and before is not None and before >= date:
            why = (
                f"{effect(c, version)}, on the context of {name(c, parent)}: it is stamped "
                f"{date}, and what it replaces {before}, so that it loses where the two meet."
            )
            begun, ended = int(c.written[version]), int(c.ended[version])
            rows = {int(c.ended[parent]), int(h.basis[begun]), begun, ended}
            yield Anomaly("misdated", why, h.keys[int(c.key[version])], tuple(sorted(rows)))


LWW = Workload(
    name="lww",
    description="keys where the last writer wins: catches an older write that stays, none, or "
    "replicas that keep different ones",
    script=_script,
    lww=True,
    check=check_dates,
    options={
        "distribution": DISTRIBUTION,
        **mix_options(blind=0.5, stale=0.2),
    },
)
