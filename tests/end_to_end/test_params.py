"""`--param`: parameters of nodes beyond the flags, which the checkers use too."""

from __future__ import annotations

import json

import pytest

from tests.end_to_end.conftest import Call

SHORT = ("test", "--workload", "register", "--seed", "3", "--world", "simulated")


def test_replicas_in_zones_are_where_the_judge_expects_them(call: Call) -> None:
    zones = {"n1": "east", "n2": "east", "n3": "west", "n4": "west", "n5": "north"}
    run = call(*SHORT, "--nemesis", "kill.one", "--time-limit", "4s", "--param",
                f"zones={json.dumps(zones)}", "--keys", "30")  # fmt: skip
    assert run.wait() == 0, run.printed()
    folder = run.results()
    test = json.loads((folder / "test.json").read_text())
    assert test["ring"]["zones"] == zones
    del test["ring"]["zones"]
    (folder / "test.json").write_text(json.dumps(test))
    blind = call("check", str(folder))
    assert blind.wait() == 1, "without the zones the same replicas are misplaced"
    assert "misplaced" in blind.printed()


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("zonez=1", "--param: there is no 'zonez' (did you mean zones?); allowed: "),
        ("n=2", "--param: n has a flag of its own; use --n"),
        ("zones=[1", "--param: zones: while parsing"),
        ("durability=never", "--param: durability: Invalid enum value 'never'"),
        ("zone_replicas={east: 9}", "--param: zone_replicas: 'east'"),
        ("partitions", "--param: 'partitions' is not NAME=VALUE"),
    ],
)
def test_what_no_node_would_start_with_is_refused_before(
    call: Call, given: str, expected: str
) -> None:
    run = call(*SHORT, "--nemesis", "none", "--param", given)
    assert run.wait() == 2
    assert expected in run.printed()
