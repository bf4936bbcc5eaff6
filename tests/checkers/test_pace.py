"""Sound nodes with slow parameters do late what others do soon: by histories and logs made by hand.

Each is judged as ever with parameters that swarms draw, and only with slower ones otherwise."""

from __future__ import annotations

from typing import Any

import pytest
from dynamesis.checkers.graph.run import Run
from dynamesis.checkers.history.op import OpError
from dynamesis.checkers.logs.logs import Logs
from dynamesis.checkers.models.dynamo import CHECKERS
from dynamesis.checkers.models.log_checkers import check_logs
from log_lines import BEGAN, TEST, fault, history, line, logs, op
from log_lines import put as written
from test_changes import FOUR, answers, asked, layout
from test_places import P, Q, stored
from test_zones import COORDINATOR, DOWN, FAR, KEY, NEAR, NODES, OTHER, health
from test_zones import TEST as IN_ZONES

SOUND = dict[str, int]()


def with_params(test: dict[str, Any], **params: Any) -> dict[str, Any]:
    return {**test, "params": params}


@pytest.mark.parametrize(
    ("params", "ended", "expected"),
    [
        ({}, 6.0, {"lost-hint": 1}),
        ({"replica_timeout": 1.0}, 6.0, {"lost-hint": 1}),
        ({"replica_timeout": 10.0}, 6.0, SOUND),
        ({"replica_timeout": 10.0}, 70.0, {"lost-hint": 1}),
        ({"replica_timeout": True}, 6.0, {"lost-hint": 1}),
    ],
)
def test_a_coordinator_that_ends_as_it_waits_for_a_replica(
    params: dict[str, Any], ended: float, expected: dict[str, int]
) -> None:
    """It would have turned to another node once the time-out was over."""
    h = history(written("1.1", 1, 1.2), fault(0, "kill", ended, ended + 1, nodes=[P]))
    run = Run(h, with_params(TEST, **params))
    lines = [stored(P), stored(Q), line(ended + 1, P, "start")]
    assert check_logs(run, logs(*lines)).verdicts["places"].counts() == expected


@pytest.mark.parametrize(
    ("params", "suspected", "expected"),
    [
        ({}, 20.0, {"misplaced": 1}),
        ({"replica_timeout": 1.0}, 20.0, {"misplaced": 1}),
        ({"replica_timeout": 3.0}, 20.0, SOUND),
        ({"replica_timeout": 3.0}, 30.0, {"misplaced": 1}),
    ],
)
def test_a_node_that_was_asked_and_is_suspected_late(
    params: dict[str, Any], suspected: float, expected: dict[str, int]
) -> None:
    """Two time-outs after it was cut off."""

    def kept(at: float, node: str, **more: Any) -> dict[str, Any]:
        why = "stamp" if node == COORDINATOR else "put"
        about = {"key": KEY, "request": "1.1", "why": why, "hash": "aa"}
        return dict(line(at, node, "stored", **about, **more))

    ends = [line(at, node, "ready" if at else "start") for node in NODES for at in (0, 100)]
    lines = [
        *ends, health(0.5, "link-up"), kept(10.1, COORDINATOR), kept(10.1, OTHER),
        kept(13.2, FAR, hint_for=DOWN), health(suspected, "peer-suspected", NEAR),
    ]  # fmt: skip
    h = history(written("1.1", 10, 10.2, key=KEY, worth={"coordinator": COORDINATOR}))
    run = Run(h, with_params(IN_ZONES, **params))
    found = check_logs(run, Logs.of(sorted(lines, key=lambda each: each["mono"]), BEGAN))
    assert found.verdicts["zones"].counts() == expected


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({}, {"stuck": 1}),
        ({"gossip_interval": 2.0}, {"stuck": 1}),
        ({"gossip_interval": 30.0}, SOUND),
    ],
)
def test_a_change_waits_for_gossip(params: dict[str, Any], expected: dict[str, int]) -> None:
    joining = fault(0, "membership", 5, 20, joins=["n5"], leaves=[], removes=[])
    h = history(written("1.1", 0.2, 0.3), joining, answers(FOUR))
    run = Run(h, with_params(TEST, **params))
    found = check_logs(run, logs(layout(0.1, version=1), asked()))
    assert found.verdicts["changes"].counts() == expected


@pytest.mark.parametrize(
    ("params", "begun", "expected"),
    [
        ({}, 8.0, {"unavailable": 3}),
        ({"replica_timeout": 1.0, "probe_interval": 1.0}, 8.0, {"unavailable": 3}),
        ({"replica_timeout": 3.0}, 8.0, SOUND),
        ({"replica_timeout": 3.0}, 11.0, {"unavailable": 3}),
        ({"probe_interval": 5.0}, 8.0, SOUND),
    ],
)
def test_a_node_is_noticed_to_be_away_after_two_time_outs(
    params: dict[str, Any], begun: float, expected: dict[str, int]
) -> None:
    """Until then requests wait for it, and clients do not wait as long."""
    paused = fault(0, "pause", 1, 28, nodes=["n4"])
    refused = []
    for n in range(3):
        get: dict[str, Any] = {"process": n, "f": "get", "key": "k"}
        error = OpError("timeout", False, "")
        refused += [
            op(begun + 3 * n, **get),
            op(begun + 3 * n + 2.9, type="info", node="n1", error=error, **get),
        ]
    run = Run(history(paused, refused), with_params({**TEST, "world": "simulated"}, **params))
    assert CHECKERS["ledger"](run).counts() == expected


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({}, {"unavailable": 1}),
        ({"request_timeout": 1.0, "replica_timeout": 1.0}, {"unavailable": 1}),
        ({"request_timeout": 30.0}, SOUND),
        ({"replica_timeout": 3.0}, SOUND),
        ({"request_timeout": 5.0}, {"unavailable": 1}),
    ],
)
def test_requests_are_in_progress_until_they_time_out(
    params: dict[str, Any], expected: dict[str, int]
) -> None:
    waiting = [[op(1 + n / 100, process=n, f="get", key="k")] for n in range(4)]
    put: dict[str, Any] = {"process": 9, "f": "put", "key": "k", "id": "9.1"}
    refused = [
        op(11, value=1, **put),
        op(11.1, type="fail", node="n1", error=OpError("overloaded", True, ""), **put),
    ]
    run = Run(history(*waiting, refused), with_params(TEST, max_requests=4, **params))
    assert CHECKERS["ledger"](run).counts() == expected
