"""What a store may refuse by its limits, and what it may not: no such refusal is `unavailable`.

Found by schedules with parameters that swarms do not draw."""

from __future__ import annotations

from typing import Any

import pytest
from dynamesis.checkers.graph.run import Run
from dynamesis.checkers.history.op import Op, OpError
from dynamesis.checkers.models.dynamo import CHECKERS
from log_lines import TEST, history, op

REFUSED, EXCUSED = {"unavailable": 1}, dict[str, int]()


def found(code: str, params: dict[str, Any], writes: int, value: Any = 1, key: str = "k") -> Any:
    """What is judged of a put that was refused with this code, after so many others of the key."""
    rows: list[list[Op]] = []
    for n in range(writes):
        put: dict[str, Any] = {"process": n, "f": "put", "key": key, "id": f"{n}.1"}
        begun = op(1 + n / 10, value=value, **put)
        rows.append([begun, op(1.01 + n / 10, type="ok", node="n1", **put)])
    put = {"process": 99, "f": "put", "key": key, "id": "99.1"}
    error = OpError(code, True, "")
    refused = [
        op(9, value=value, options={"timeout": 0.5}, **put),
        op(9.01, type="fail", node="n1", error=error, **put),
    ]
    judged = CHECKERS["ledger"](Run(history(*rows, refused), {**TEST, "params": params}))
    return judged.counts()


@pytest.mark.parametrize(
    ("code", "params", "writes", "more", "expected"),
    [
        ("too-many-siblings", {"max_siblings": 6}, 2, {}, REFUSED),
        ("too-many-siblings", {"max_siblings": 6}, 3, {}, EXCUSED),  # each may be there twice
        ("too-many-siblings", {"max_siblings": 1}, 0, {}, REFUSED),  # the first never is too many
        ("too-many-siblings", {"max_siblings": 1000}, 15, {}, REFUSED),
        ("too-many-siblings", {}, 16, {}, EXCUSED),
        ("too-many-siblings", {"max_sibling_bytes": 4000}, 2, {"value": "x" * 500}, REFUSED),
        ("too-many-siblings", {"max_sibling_bytes": 4000}, 2, {"value": "x" * 1500}, EXCUSED),
        ("too-many-siblings", {"max_sibling_bytes": 4000}, 0, {"value": "x" * 5000}, REFUSED),
        ("too-many-siblings", {}, 1, {"value": {"pad": 40_000}}, EXCUSED),
        ("value-too-large", {"max_value": 1000}, 0, {"value": "x" * 500}, REFUSED),
        ("value-too-large", {"max_value": 1000}, 0, {"value": "x" * 900}, EXCUSED),
        ("value-too-large", {}, 0, {"value": "x" * 900}, REFUSED),
        ("key-too-large", {"max_key": 30}, 0, {"key": "k" * 10}, REFUSED),
        ("key-too-large", {"max_key": 30}, 0, {"key": "k" * 20}, EXCUSED),
        ("bad-request", {"max_timeout": 1.0}, 0, {}, REFUSED),
        ("bad-request", {"max_timeout": 0.3}, 0, {}, EXCUSED),
        ("overloaded", {"queue_target": 0.001}, 0, {}, REFUSED),
        ("overloaded", {"queue_target": 0.5}, 0, {}, REFUSED),
        ("write-quorum", {"max_hint_bytes": 100}, 0, {}, REFUSED),  # nothing is down
    ],
)
def test_what_a_limit_refuses(
    code: str, params: dict[str, Any], writes: int, more: dict[str, Any], expected: Any
) -> None:
    assert found(code, params, writes, **more) == expected


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({"queue_target": 0.001}, EXCUSED),  # less than the delay of the network
        ({"queue_target": 0.01}, REFUSED),
        ({"max_request_bytes": 2 << 20}, EXCUSED),  # of which a key has a quarter
        ({"max_request_bytes": 8 << 20}, REFUSED),
    ],
)
def test_what_sheds_load_early_may_refuse(params: dict[str, Any], expected: Any) -> None:
    rows = [[op(1 + n / 100, process=n, f="get", key="k")] for n in range(3)]
    put: dict[str, Any] = {"process": 9, "f": "put", "key": "k", "id": "9.1"}
    refused = [
        op(1.1, value=1, **put),
        op(1.2, type="fail", node="n1", error=OpError("overloaded", True, ""), **put),
    ]
    test: dict[str, Any] = {**TEST, "params": params}
    assert CHECKERS["ledger"](Run(history(*rows, refused), test)).counts() == expected


@pytest.mark.parametrize(
    ("params", "code", "expected"),
    [
        ({}, "write-quorum", REFUSED),
        ({"max_hint_bytes": 100}, "write-quorum", EXCUSED),
        ({"max_hint_bytes": 100}, "overloaded", EXCUSED),
        ({"max_hint_bytes": 100}, "too-many-hops", REFUSED),
        ({"max_hint_bytes": 1 << 20}, "write-quorum", REFUSED),  # the first write does not fill it
    ],
)
def test_without_room_for_hints_a_node_that_is_down_is_missed(
    params: dict[str, Any], code: str, expected: Any
) -> None:
    value = {"fault": 1, "nodes": ["n3"]}
    killed = [
        op(1, process="nemesis", f="start-kill", value=value),
        op(1.1, type="info", process="nemesis", f="start-kill", value=value),
        op(1.2, type="info", process="nemesis", f="evidence", value={"fault": 1, "bit": True}),
    ]
    put: dict[str, Any] = {"process": 9, "f": "put", "key": "k", "id": "9.1"}
    refused = [
        op(9, value=1, **put),
        op(9.1, type="fail", node="n1", error=OpError(code, True, ""), **put),
    ]
    test: dict[str, Any] = {**TEST, "params": params}
    assert CHECKERS["ledger"](Run(history(killed, refused), test)).counts() == expected


@pytest.mark.parametrize(
    ("test", "expected"),
    [
        ({}, {"unavailable": 3}),
        ({"params": {"replica_timeout": 0.05}}, EXCUSED),  # fewer than one in a hundred
        ({"params": {"replica_timeout": 0.05}, "world": "simulated"}, {"unavailable": 3}),
    ],
)
def test_a_quorum_is_lacking_late_when_replicas_are_given_up(test: Any, expected: Any) -> None:
    asked = [op(0.1 + n / 1000, process=n, f="get", key="k") for n in range(400)]
    answered = [
        op(0.6 + n / 1000, type="ok", process=n, f="get", key="k", node="n1") for n in range(400)
    ]
    refused: list[Op] = []
    for n in range(3):
        get: dict[str, Any] = {"process": 500 + n, "f": "get", "key": "k"}
        error = OpError("read-quorum", True, "")
        refused += [op(2 + n, **get), op(2.06 + n, type="fail", node="n1", error=error, **get)]
    judged = CHECKERS["ledger"](Run(history(asked, answered, refused), {**TEST, **test}))
    assert judged.counts() == expected
