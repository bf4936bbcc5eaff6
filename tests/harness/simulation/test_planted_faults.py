"""What one judge alone sees: a fault planted in every node, and the same schedule without it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from dynamesis.harness.simulation.play import replay

PLANTED = Path(__file__).with_name("planted_faults.py")
Ops = list[dict[str, Any]]


def schedule(operations: Ops, faults: Ops, more: dict[str, Any], bug: str = "", **test: Any) -> str:
    planted = {"bug": [f"{PLANTED}:{bug}"]} if bug else {}
    base = {"world": "simulated", "workload": "blind", "seed": 5, "nodes": 3, "n": 3}
    whole = {**base, "param": ["partitions=16"], **test, **planted}
    return yaml.safe_dump({"test": whole, "operations": operations, "faults": faults, **more})


def op(
    at: float, client: int, number: int, key: int, f: str = "put", **more: Any
) -> dict[str, Any]:
    value = {"value": 100 * client + number} if f == "put" else {}
    id = f"{client}.{number}"
    whole = {"at": round(at, 3), "client": client, f: f"k{key}", "id": id, "basis": None}
    return {**whole, **value, **more}


def hasty_puts() -> Ops:
    """Puts of one copy that ask for 0.1 s, while a node that owns some of the keys is paused."""
    asked = {"node": "n1", "options": {"timeout": 0.1}}
    return [op(0.32 + 0.02 * i, i % 8, i // 8, i % 20, **asked) for i in range(40)]


def while_three_join() -> Ops:
    return [op(0.5 + 0.006 * i, i % 6, i // 6, i % 12) for i in range(400)]


def created_and_deleted() -> Ops:
    """Each key is created and deleted seven times, at one node."""
    steps = [
        (0.2 + 0.2 * half + 0.4 * turn + 0.005 * key, key, turn, half)
        for turn in range(7)
        for key in range(8)
        for half in (0, 1)
    ]
    found: Ops = []
    created: dict[int, int] = {}
    for at, key, turn, half in sorted(steps):
        if half:
            one = op(at, key, 2 * turn + 1, key, "delete", node="n1", basis=created[key])
        else:
            created[key] = len(found)
            one = op(at, key, 2 * turn, key, node="n1")
        found.append(one)
    return found


def behind_a_hint() -> Ops:
    """Siblings that come to a node before it is handed what it missed."""
    missed = [op(0.6 + 0.01 * i, 0, i, i, node="n1") for i in range(8)]
    return missed + [op(1.7 + 0.01 * i, 1, i, i, node="n1") for i in range(8)]


PAUSED = {"start": 0.3, "stop": 2.4, "member": "pause.one", "nodes": ["n3"]}
JOINED = {"start": 0.5, "member": "membership.three", "joins": 3, "leaves": 0, "removes": 0,
          "among": ["n1", "n2", "n3"], "keep": 3}  # fmt: skip
LOSSY = {"start": 0.1, "stop": 3.6, "member": "link.lossy", "kind": "frames",
         "with": {"drop": 30, "seed": 1}, "links": ["n1-n3"]}  # fmt: skip
CUT = {"start": 0.4, "stop": 1.0, "member": "cut.one", "kind": "refused",
       "grudge": [["n3"], ["n1", "n2", "n4"]]}  # fmt: skip
DOWN = {"start": 0.4, "stop": 5.5, "member": "kill.one", "nodes": ["n3"]}
ANEW = {"start": 4.5, "stop": 4.8, "member": "kill.one", "nodes": ["n1"]}
LARGE = {"start": 0.3, "stop": 0.6, "member": "load.large-values", "nodes": ["n1"],
         "kind": "large-values", "with": {"bytes": 70_000}}  # fmt: skip
REAPED = ["partitions=16", "reap_after=0.05", "anti_entropy_interval=0.05"]
FAR = {"tweaks": {"latency": [0.02, 0.05]}}

#: fault -> anomaly, operations, faults, and what else
SEEN: dict[str, tuple[str, Ops, Ops, dict[str, Any], dict[str, Any]]] = {
    "ignores_timeouts": (
        "overdue", hasty_puts(), [PAUSED], {},
        {"n": 1, "r": 1, "w": 1, "keys": 20, "concurrency": 8, "time_limit": 2.5},
    ),
    "ToTheFirst": (
        "lost-hint", while_three_join(), [JOINED], FAR,
        {"keys": 12, "concurrency": 6, "time_limit": 4, "seed": 7},
    ),
    "reaps_what_is_under_way": (
        "early-reap", created_and_deleted(), [LOSSY], {},
        {"nodes": 4, "keys": 8, "concurrency": 8, "workload": "delete", "param": REAPED,
         "time_limit": 4, "seed": 15},
    ),
    "LeavesOutLarge": (
        "divergence", behind_a_hint()[:8], [LARGE], {},
        {"keys": 8, "concurrency": 2, "time_limit": 2},
    ),
    "HandedOver": (
        "bad-merge", behind_a_hint(), [CUT], {},
        {"nodes": 4, "keys": 8, "concurrency": 2, "time_limit": 2,
         "param": ["partitions=16", "handoff_interval=3", "anti_entropy_interval=2"]},
    ),
    "OneHintAgain": (
        "lost-hint", behind_a_hint()[:8], [DOWN, ANEW], {},
        {"nodes": 4, "keys": 8, "concurrency": 2, "time_limit": 6},
    ),
}  # fmt: skip


@pytest.mark.parametrize("bug", SEEN)
def test_it_is_seen_where_it_is_planted_and_only_there(bug: str) -> None:
    anomaly, operations, faults, more, test = SEEN[bug]
    assert replay(schedule(operations, faults, more, **test))["anomalies"] == {}
    found = replay(schedule(operations, faults, more, bug, **test))["anomalies"]
    assert set(found) == {anomaly}
