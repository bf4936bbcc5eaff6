"""Every member of the catalogue: what one draw of it is in files, key by key, and that it is read
back as the same value."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from dynamesis.harness.generators.rng import Rng
from dynamesis.harness.links.faults import FAULTS
from dynamesis.harness.nemesis import FaultContext
from dynamesis.harness.nemesis.catalogue import MEMBERS
from dynamesis.harness.nemesis.faults import (
    FaultSkipped,
    FaultStart,
    KillFault,
    MembershipChange,
    action_from_value,
    fault_from_value,
)
from dynamesis.harness.nemesis.packages import Member

CONTEXT = FaultContext(("n1", "n2", "n3", "n4"), frozenset(FAULTS), forgetful="n3")

#: a line for each fault of one draw: the member, and the fault as JSON
VALUES = Path(__file__).with_name("fault_values.txt").read_text(encoding="utf-8")


def written(name: str) -> list[str]:
    lines = [line.partition(" ") for line in VALUES.splitlines()]
    return [value for member, _, value in lines if member == name]


@pytest.mark.parametrize("member", MEMBERS, ids=lambda member: member.name)
def test_the_files_have_the_same_keys_as_ever(member: Member) -> None:
    faults, _ = member.draw(Rng(1), CONTEXT)
    assert [json.dumps(fault.as_value()) for fault in faults] == written(member.name)
    for fault in faults:
        assert fault_from_value(member.family, json.loads(json.dumps(fault.as_value()))) == fault


def test_a_change_that_strikes_has_names_instead_of_numbers() -> None:
    value = {"joins": ["n4"], "leaves": [], "removes": [], "among": ["n1"], "keep": 3}
    change = fault_from_value("membership", value)
    assert isinstance(change, MembershipChange)
    assert change.as_value() == value


def test_operations_of_the_nemesis_name_their_fault_first() -> None:
    start = FaultStart(7, "kill.one", KillFault(nodes=["n2"]))
    assert list(start.as_value().items()) == [
        ("fault", 7), ("member", "kill.one"), ("nodes", ["n2"])
    ]  # fmt: skip
    assert start.stop.as_value() == {"fault": 7, "member": "kill.one"}
    assert action_from_value("start-kill", start.as_value()) == start
    assert action_from_value("stop-kill", start.stop.as_value()) == start.stop
    skipped = FaultSkipped(7, "kill.one", "no node is left")
    assert skipped.as_value() == {"fault": 7, "member": "kill.one", "skipped": "no node is left"}


@pytest.mark.parametrize(
    ("value", "field"),
    [({"nodes": "n1"}, "nodes"), ({"nodes": ["n1"], "node": 1}, "node"), ({"signal": "x"}, "x")],
)
def test_a_value_that_makes_no_sense_is_refused(value: dict[str, object], field: str) -> None:
    with pytest.raises(ValueError, match=field):
        fault_from_value("kill", value)
