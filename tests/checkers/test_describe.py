"""What an explanation names: where a version was last seen, and the nodes of a fault."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from dynamesis.checkers.explain.describe import concerned
from dynamesis.checkers.history.history import History, Op, Sibling, read_history
from dynamesis.checkers.history.timeline import Fault
from dynamesis.checkers.models.dynamo import check

BAD = Path(__file__).parent.parent / "histories" / "bad"

FAULTS = {
    "cut.one refused n3 | n1,n2 (index 249)": (
        {"member": "cut.one", "kind": "refused", "grudge": [["n3"], ["n1", "n2"]]}
    ),
    "cut.one-way n2 | n1,n3; n5 | n1 (index 249)": (
        {"member": "cut.one-way", "grudge": {"n2": ["n1", "n3"], "n5": ["n1"]}}
    ),
    "kill.one n4 (index 249)": {"member": "kill.one", "nodes": ["n4"]},
    "membership.replace n6 joins, n2 leaves (index 249)": (
        {"member": "membership.replace", "joins": ["n6"], "leaves": ["n2"], "removes": []}
    ),
    "membership.remove n5 is removed (index 249)": (
        {"member": "membership.remove", "joins": [], "leaves": [], "removes": ["n5"]}
    ),
    "membership.join (index 249)": {"member": "membership.join", "joins": 1},
    "cut (index 249)": {},
}


@pytest.mark.parametrize("expected", FAULTS)
def test_a_fault_is_reported_with_member_and_nodes(expected: str) -> None:
    value: dict[str, Any] = FAULTS[expected]
    assert concerned(Fault(1, "cut", 249, value=value)) == expected


@pytest.mark.parametrize(
    ("name", "seen"),
    [
        (
            "lost-write-under-refused-delete",
            "last seen in the get of process 1 at 0.060 s (index 8) from n2",
        ),
        ("lost-write-nothing-left", "no read ever showed it"),
    ],
)
def test_a_lost_write_is_reported_with_where_it_was_last_seen(name: str, seen: str) -> None:
    test = json.loads((BAD / f"{name}.test.json").read_text())
    [lost] = check(read_history(BAD / f"{name}.jsonl"), test).verdicts["final"].anomalies
    assert seen in lost.why


def test_replicas_that_share_much_are_reported_by_what_they_do_not_share() -> None:
    ops: list[Op] = []
    shared = [Sibling(f"{p}.0", 1) for p in range(9)]
    for number, sibling in enumerate([*shared, Sibling("9.0", 1)]):
        write = {"process": number, "f": "put", "key": "k", "id": sibling.id}
        ops += [Op(**write, value=1, basis=None), Op(type="ok", **write)]
    ops.append(Op(type="info", process="harness", f="quiesce", value={"quiet": True}))
    ops.append(Op(type="info", process="harness", f="phase", value="final"))
    for node in ("n1", "n2"):
        held = shared if node == "n1" else [*shared, Sibling("9.0", 1)]
        dump = {"process": "harness", "f": "dump", "key": "k", "replica": node}
        ops += [Op(**dump), Op(type="ok", **dump, siblings=held)]
    test = {"nodes": ["n1", "n2"], "n": 2, "ring": {"partitions": 2, "owners": ["n1", "n2"]}}
    [split] = check(History.of(ops), test).verdicts["replicas"].anomalies
    assert "9 are the same, and beside these n2 held 9.0; n1 held nothing" in split.why


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


#: (history, anomaly, the operations that prove it, what the words say of the cause)
CAUSES = [
    ("monotonic-reads-gone-again", "monotonic-reads", (2, 3, 5, 6, 7),
     "the get of process 1 at 0.060 s (index 5) had covered 0.1"),
    ("monotonic-writes-second-only", "monotonic-writes", (2, 3, 4, 6, 7),
     "it covers 0.2, which process 0 wrote afterwards, at 0.050 s (index 4)"),
    ("writes-follow-reads-blind", "writes-follow-reads", (2, 3, 5, 6, 8, 9),
     "it covers 1.1, written by process 1 at 0.070 s (index 6): before that the get of process 1"),
    ("read-your-writes-empty", "read-your-writes", (2, 3, 4, 5), "the same process had written it"),
    ("causal-cycle,future-read-through-two", "causal-cycle", (3, 4, 7, 8),
     "1.1, whose write began at index 8, was shown at index 3"),
    ("unavailable-all-primaries-up", "unavailable", (4, 6, 7), "n1, n2, n5 were up and in reach"),
    ("unavailable-without-a-fault", "unavailable", (4, 5), "no fault had been active for 5 s"),
    ("divergence-one-sibling-short", "divergence", (11, 13), "1.1 was acknowledged at 0.060 s"),
    ("misplaced-hint-left", "misplaced", (15,), "0.1 was acknowledged at 0.040 s"),
    ("split-membership-members", "split-membership", (8, 9), "n2 have n1, n2, n3, n4."),
    ("split-membership-owners", "split-membership", (8, 9), "n1 have 0 is of n1, 1 is of n2"),
    ("stuck-hints-left", "stuck", (6,), "hints were still held by n4 (3)"),
    ("lost-item,lost-write-branch-gone", "lost-item", (4, 5, 17), "1.1 was acknowledged at 0.060"),
]  # fmt: skip


@pytest.mark.parametrize(("history", "anomaly", "ops", "cause"), CAUSES)
def test_the_proof_and_the_words_show_the_cause(
    history: str, anomaly: str, ops: tuple[int, ...], cause: str
) -> None:
    test = json.loads((BAD / f"{history}.test.json").read_text())
    found = check(read_history(BAD / f"{history}.jsonl"), test).anomalies
    first = next(a for a in found if a.name == anomaly)
    assert first.ops == ops
    assert cause in first.why
