"""What an explanation names: where a version was last seen, and whom a fault concerned."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from checkers import check
from checkers.course import Fault
from checkers.history import History, Op, Sibling, read_history
from checkers.words import concerned

BAD = Path(__file__).parent.parent / "histories" / "bad"

FAULTS = {
    "cut.one refused n3 | n1,n2 (index 249)": (
        {"member": "cut.one", "kind": "refused", "grudge": [["n3"], ["n1", "n2"]]}
    ),
    "cut.one-way n2 | n1,n3; n5 | n1 (index 249)": (
        {"member": "cut.one-way", "grudge": {"n2": ["n1", "n3"], "n5": ["n1"]}}
    ),
    "kill.one n4 (index 249)": {"member": "kill.one", "nodes": ["n4"]},
    "cut (index 249)": {},
}


@pytest.mark.parametrize("told", FAULTS)
def test_a_fault_is_told_with_member_and_nodes(told: str) -> None:
    value: dict[str, Any] = FAULTS[told]
    assert concerned(Fault(1, "cut", 249, value=value)) == told


@pytest.mark.parametrize(
    ("name", "seen"),
    [
        (
            "lost-write-under-refused-delete",
            "last seen in the get of process 1 at 0.060 s (index 5) from n2",
        ),
        ("lost-write-nothing-left", "no read ever showed it"),
    ],
)
def test_a_lost_write_is_told_with_where_it_was_last_seen(name: str, seen: str) -> None:
    test = json.loads((BAD / f"{name}.test.json").read_text())
    [lost] = check(read_history(BAD / f"{name}.jsonl"), test).verdicts["final"].anomalies
    assert seen in lost.why


def test_false_siblings_are_counted_by_key() -> None:
    ops: list[Op] = []
    for key, reads in (("a", 2), ("b", 1)):
        ids = f"{key}1", f"{key}2"
        basis = None
        for id in ids:
            ops.append(Op(process=0, f="put", key=key, id=id, value=1, basis=basis))
            basis = len(ops)
            ops.append(Op(type="ok", process=0, f="put", key=key, id=id))
        shown = [Sibling(id, 1) for id in ids]
        for _ in range(reads):
            ops.append(Op(process=0, f="get", key=key))
            ops.append(Op(type="ok", process=0, f="get", key=key, siblings=shown))
    details = check(History.of(ops)).verdicts["reads"].details
    assert details == {"false_siblings_by_key": {"a": 2, "b": 1}}
