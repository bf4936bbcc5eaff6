"""A node keeps the time-out that a request asks for: by histories made by hand."""

from __future__ import annotations

from typing import Any

import pytest
from dynamesis.checkers.graph.run import Run
from dynamesis.checkers.history.op import Op, OpError
from dynamesis.checkers.models.dynamo import CHECKERS
from dynamesis.checkers.verdict import Verdict
from log_lines import TEST, fault, history, op

SIMULATED = {**TEST, "world": "simulated"}
#: n3 is down: what needs it waits
DOWN = fault(1, "kill", 1, 20, nodes=["n3"])


def asked(begun: float, lasted: float, code: str = "timeout", **options: Any) -> list[Op]:
    """A get at n1 that asked for an answer within 0.1 s, and ended in this."""
    process, given = int(begun * 100), {"timeout": 0.1, **options}
    end: dict[str, Any] = {"type": "ok"} if not code else {"type": "fail"}
    if code:
        end["error"] = OpError(code, True, "")
    return [
        op(begun, process=process, f="get", key="k", options=given),
        op(begun + lasted, process=process, f="get", key="k", node="n1", **end),
    ]


def found(*ops: list[Op], test: dict[str, Any] = SIMULATED, name: str = "deadlines") -> Any:
    return CHECKERS[name](Run(history(*ops), test))


def several(lasted: float, code: str = "timeout", **options: Any) -> list[list[Op]]:
    return [asked(3 + 3 * n, lasted, code, **options) for n in range(3)]


#: requests that n1 answered while it kept those of `several` waiting
AWAKE = [asked(4 + 3 * n, 0.01, "", timeout=None) for n in range(3)]


@pytest.mark.parametrize("code", ["timeout", "read-quorum", ""])
@pytest.mark.parametrize("test", [SIMULATED, TEST])
def test_answers_long_after_the_time_asked_for_are_an_anomaly(code: str, test: Any) -> None:
    judged = found(DOWN, *several(2.0, code), *AWAKE, test=test)
    assert judged.counts() == {"overdue": 3}
    assert "at n1 asked for an answer within 0.1 s; it ended" in judged.anomalies[0].why


def test_the_slack_is_that_of_the_simulated_network() -> None:
    """A connection, a question and its answer are five messages."""
    slow = {**SIMULATED, "latency": 0.1}
    assert found(DOWN, *several(0.85), test=slow).counts() == {}
    assert found(DOWN, *several(0.95), test=slow).counts() == {"overdue": 3}
    assert found(DOWN, *several(0.85)).counts() == {"overdue": 3}


@pytest.mark.parametrize(
    "ops",
    [
        several(0.4),
        several(2.0, timeout=1.8),
        several(2.0, retry="same"),
        several(2.0, hedge=True),
        [*several(2.0), fault(2, "pause", 1, 20, nodes=["n1"])],
        [*several(2.0), fault(2, "link", 1, 20)],
        [*several(2.0), fault(2, "cut", 1, 20, member="cut.flapping", grudge=[["n1"], ["n2"]])],
    ],
    ids=["slack", "patient", "retried", "hedged", "its own", "a link", "flapping"],
)
def test_what_may_be_late_for_another_reason_is_not_judged(ops: list[list[Op]]) -> None:
    assert found(DOWN, *ops).verdict is Verdict.VALID


def test_one_is_enough_where_nothing_stalls() -> None:
    assert found(DOWN, *several(2.0)[:1]).counts() == {"overdue": 1}
    assert found(DOWN, *several(2.0)[:2], *AWAKE, test=TEST).verdict is Verdict.VALID
    assert found(DOWN, *several(2.0), test=TEST).verdict is Verdict.VALID, "it may have slept"
    assert found(DOWN, *several(1.3), *AWAKE, test=TEST).verdict is Verdict.VALID, "it may dial"


def test_a_stall_delays_all_that_are_under_way() -> None:
    together = [asked(5 + n / 10, 3.0) for n in range(6)]
    assert found(DOWN, *together, *AWAKE, test=TEST).verdict is Verdict.VALID
    assert found(DOWN, *together).counts() == {"overdue": 6}


def test_without_such_requests_there_is_nothing_to_judge() -> None:
    assert found(DOWN, *[asked(3, 2.0, timeout=None)]).skipped


@pytest.mark.parametrize(("lasted", "counts"), [(0.02, {"unavailable": 3}), (0.1, {})])
def test_a_refusal_before_the_time_was_over_has_no_excuse_in_it(
    lasted: float, counts: dict[str, int]
) -> None:
    assert found(*several(lasted), name="ledger").counts() == counts
