"""A grow-only set: every write adds one element that no other write adds.

The value of a version is the whole set after the addition; siblings are merged by union.
Catches lost elements by name (lost-element): an element whose write was acknowledged and
which the final merge lacks. A set is the plainest thing to lose something from, so
that its proofs are easy to follow.
"""

from __future__ import annotations

from dynamesis.checkers.explain.describe import counted
from dynamesis.checkers.graph.run import Run
from dynamesis.checkers.verdict import Anomaly, CheckerResult, judge
from dynamesis.harness.generators import Rng
from dynamesis.workloads.base import DISTRIBUTION, Load, Option, Workload
from dynamesis.workloads.check_helpers import final_merges, owed_writes, own_check
from dynamesis.workloads.script.modification import (
    Modification,
    Modify,
    ReadModifyWrite,
    SeenValues,
    mix_options,
)
from dynamesis.workloads.script.script import Script


def elements(value: object) -> list[int]:
    """The elements of a version's value; none of a value that is not a set."""
    found = value.get("elements") if isinstance(value, dict) else None
    return [e for e in found if isinstance(e, int)] if isinstance(found, list) else []


def adding(largest: int) -> Modify:
    """Add one element; nothing to a set of `largest` elements, so that values stay small."""

    def modify(rng: Rng, seen: SeenValues) -> tuple[Modification | None, Rng]:
        merged = sorted({element for value in seen.values for element in elements(value)})
        if len(merged) >= largest:
            return None, rng
        return Modification({"add": seen.number, "elements": [*merged, seen.number]}), rng

    return modify


def _script(load: Load) -> Script:
    modify = adding(int(load.options["largest"]))
    return ReadModifyWrite.of(load, modify)


@own_check
def check_set(run: Run) -> CheckerResult:
    """Every element that was added to a key must be in the merge of its final reads."""
    finals = final_merges(run)
    merged = {key: {e for v in final.values for e in elements(v)} for key, final in finals.items()}
    found: list[Anomaly] = []
    for write in owed_writes(run):
        added = write.value.get("add") if isinstance(write.value, dict) else None
        if write.end != "ok" or write.key not in finals or added in merged[write.key]:
            continue
        final = finals[write.key]
        why = (
            f"process {write.process} added {added} to {write.key} (index {write.row}, "
            f"acknowledged); the final merge (index {final.row}) of "
            f"{counted(len(merged[write.key]), 'element')} lacks it."
        )
        found.append(Anomaly("lost-element", why, write.key, (write.row, final.row)))
    return judge(found, (), {"elements": {key: len(held) for key, held in merged.items()}})


SET = Workload(
    name="set",
    description="a grow-only set: catches elements that were added and are gone",
    script=_script,
    check=check_set,
    options={
        "distribution": DISTRIBUTION,
        "largest": Option(1000, (1, 100_000), "elements of a set that is no longer added to"),
        **mix_options(deletes=False),
    },
)
