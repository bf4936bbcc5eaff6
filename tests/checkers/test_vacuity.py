"""A history without evidence is unknown, with a reason."""

from __future__ import annotations

from typing import Any

import pytest
from dynamesis.checkers.history.history import History, Op, Sibling
from dynamesis.checkers.models.dynamo import CHECKERS, check
from dynamesis.checkers.verdict import (
    Anomaly,
    CheckerResult,
    Results,
    Verdict,
    check_safely,
    judge,
    skip,
)
from msgspec.structs import replace as replaced


def harness(f: str, value: Any) -> Op:
    return Op(type="info", process="harness", f=f, value=value)


def nemesis(f: str, **value: Any) -> Op:
    return Op(type="info", process="nemesis", f=f, value=value)


def put(end: str = "ok", id: str = "0.1", process: int = 0) -> list[Op]:
    return [
        Op(process=process, f="put", key="k", id=id, value=1, basis=None),
        Op(type=end, process=process, f="put", key="k", id=id),  # type: ignore[arg-type]
    ]


def get(*ids: str, process: int = 1) -> list[Op]:
    shown = [Sibling(i, 1) for i in ids]
    return [
        Op(process=process, f="get", key="k"),
        Op(type="ok", process=process, f="get", key="k", siblings=shown),
    ]


QUIET = [
    harness("phase", "quiesce"),
    harness("quiesce", {"quiet": True}),
    harness("phase", "final"),
]


STOP = harness("phase", "stop")
HALF_A_SECOND, LONG = 500_000_000, 5_000_000_000


def results(*ops: Op) -> Results:
    return check(History.of(ops))


def lasting(ns: int, *between: Op, **start: Any) -> list[Op]:
    """A cut of that length, after another one that took effect."""
    bitten = [nemesis("start-cut", fault=1), nemesis("evidence", fault=1, bit=True)]
    begin = replaced(nemesis("start-cut", fault=2, member="cut.one", **start), time=LONG)
    end = replaced(nemesis("stop-cut", fault=2), time=LONG + ns)
    return [*bitten, nemesis("stop-cut", fault=1), begin, *between, end]


def timed(*ops: Op) -> Results:
    """The verdict where events without time happen when the one before them did."""
    now, result = 0, []
    for op in ops:
        now = max(now, op.time)
        result.append(replaced(op, time=now))
    return results(*result)


def test_a_whole_little_test_is_valid() -> None:
    assert results(*put(), *QUIET, *get("0.1"), STOP).verdict is Verdict.VALID


@pytest.mark.parametrize("cut", [1, 2, 3, 4, 5])
def test_a_history_that_lost_its_end_is_unknown(cut: int) -> None:
    whole = [harness("phase", "load"), *put(), *QUIET, *get("0.1"), *get("0.1"), STOP]
    judged = results(*whole[:-cut])
    assert judged.verdict is Verdict.UNKNOWN
    lines = len(whole) - cut
    assert any(f"ends at line {lines} in phase final: expected" in r for r in judged.reasons())


def test_what_a_cut_off_history_proved_holds() -> None:
    judged = results(*put(), *QUIET, *get("9.9"))
    assert (judged.verdict, judged.counts()["phantom"]) == (Verdict.INVALID, 1)


def test_a_node_that_no_fault_killed_leaves_the_verdict_unknown() -> None:
    judged = results(*put(), nemesis("found-dead", nodes=["n3"]), *QUIET, *get("0.1"), STOP)
    assert judged.verdict is Verdict.UNKNOWN
    assert judged.reasons() == (
        "n3 was found dead at 0.002 s (index 2), and no fault had killed it",
    )


@pytest.mark.parametrize(
    ("code", "counts"),
    [(70, {"crash": 1}), (-11, {"crash": 1}), (-6, {"crash": 1}), (-9, {}), (-15, {}), (4, {}),
     (0, {}), (1, {}), ("70", {}), (None, {})],
)  # fmt: skip
def test_what_ended_of_its_own_error_is_an_anomaly_and_all_else_unknown(
    code: Any, counts: dict[str, int]
) -> None:
    last = {"n3": "ended; its last lines:\n  Traceback\n  KeyError: 'k'"}
    found = nemesis("found-dead", nodes=["n3"], exits={"n3": code}, last=last)
    judged = results(*put(), found, *QUIET, *get("0.1"), STOP)
    assert judged.verdict.json == (False if counts else "unknown")
    assert judged.counts() == counts
    for anomaly in judged.anomalies:
        assert anomaly.why == (
            f"n3 ended by an error of its own (exit code {code}) before 0.002 s (index 2): "
            "KeyError: 'k'."
        )


@pytest.mark.parametrize("value", [None, "n3", ["n3"], {"exits": 70}, {"exits": {"n3": True}}])
def test_a_node_found_dead_need_not_be_healthy(value: Any) -> None:
    found = Op(type="info", process="nemesis", f="found-dead", value=value)
    judged = results(*put(), found, *QUIET, *get("0.1"), STOP)
    assert (judged.verdict, judged.counts()) == (Verdict.UNKNOWN, {})
    assert "was found dead" in judged.reasons()[0]


@pytest.mark.parametrize("last", [None, "words", {"n3": None}, {"n3": ""}, {}])
def test_a_crash_without_last_words_is_one_all_the_same(last: Any) -> None:
    found = nemesis("found-dead", nodes=["n3"], exits={"n3": 70}, last=last)
    (anomaly,) = results(*put(), found, *QUIET, *get("0.1"), STOP).anomalies
    assert anomaly.why == "n3 ended by an error of its own (exit code 70) before 0.002 s (index 2)."


@pytest.mark.parametrize(("kind", "nodes", "dead"), [
    ("kill", ["n3"], False),
    ("kill", ["n2"], True),
    ("cut", ["n3"], True),
])  # fmt: skip
def test_a_fault_accounts_for_the_nodes_it_killed(kind: str, nodes: list[str], dead: bool) -> None:
    fault = [
        nemesis(f"start-{kind}", fault=1, nodes=nodes),
        nemesis("evidence", fault=1, bit=True),
        nemesis("found-dead", nodes=["n3"]),
        nemesis(f"stop-{kind}", fault=1),
    ]
    judged = results(*put(), *fault, *QUIET, *get("0.1"), STOP)
    assert judged.verdict.json == ("unknown" if dead else True)


def test_evidence_without_an_effect_proves_no_effect() -> None:
    faults = [nemesis("start-cut", fault=1), nemesis("evidence", fault=1)]
    judged = results(*put(), *faults, *QUIET, *get("0.1"), STOP)
    assert "no cut fault is known to have taken effect" in judged.reasons()[0]


def test_each_fault_must_have_bitten_by_its_number() -> None:
    toothless = nemesis("evidence", fault=2, bit=False)
    judged = timed(*put(), *lasting(LONG, toothless), *QUIET, *get("0.1"), STOP)
    assert judged.reasons() == ("fault 2, cut.one (index 5), is not known to have taken effect",)


@pytest.mark.parametrize(
    ("fault", "detail", "named"),
    [
        ("load", {"ended": {"value-too-large": 56, "asked": 9}}, True),
        ("load", {"ended": {"asked": 9}}, False),
        ("load", {"ended": [1]}, False),
        ("load", [1], False),
        ("cut", {"ended": {"value-too-large": 56}}, False),
    ],
)
def test_a_load_that_was_too_large_for_the_nodes_names_the_limit(
    fault: str, detail: Any, named: bool
) -> None:
    refused = nemesis("evidence", fault=1, bit=False, detail=detail)
    faults = [nemesis(f"start-{fault}", fault=1), refused, nemesis(f"stop-{fault}", fault=1)]
    (reason, *_) = results(*put(), *faults, *QUIET, *get("0.1"), STOP).reasons()
    assert f"no {fault} fault is known to have taken effect" in reason
    assert ("refused as too large 56 times (max_value)" in reason) is named


@pytest.mark.parametrize(
    ("fault", "params", "named"),
    [
        ("cut", {"replica_timeout": 30}, True),
        ("link", {"probe_interval": 30}, True),
        ("cut", {"replica_timeout": 1}, False),
        ("kill", {"replica_timeout": 30}, False),
    ],
)
def test_a_cut_that_nodes_may_not_have_noticed_yet_names_the_time_out(
    fault: str, params: Any, named: bool
) -> None:
    toothless = nemesis("evidence", fault=1, bit=False)
    faults = [nemesis(f"start-{fault}", fault=1), toothless, nemesis(f"stop-{fault}", fault=1)]
    history = History.of([*put(), *faults, *QUIET, *get("0.1"), STOP])
    (reason, *_) = check(history, {"params": params}).reasons()
    assert f"no {fault} fault is known to have taken effect" in reason
    assert ("only after replica_timeout" in reason) is named


def test_a_fault_lasts_from_when_it_was_injected() -> None:
    # on a busy machine to inject it took LONG; it was there for half a second
    injecting = replaced(nemesis("start-cut", fault=2), type="invoke", time=0)
    rest = lasting(HALF_A_SECOND)
    ops = [*put(), injecting, *rest, *QUIET, *get("0.1"), STOP]
    assert timed(*ops).verdict is Verdict.VALID
    ops = [*put(), injecting, *lasting(LONG), *QUIET, *get("0.1"), STOP]
    assert timed(*ops).verdict is Verdict.UNKNOWN


def test_a_fault_lifted_before_its_effect_needs_none() -> None:
    toothless = nemesis("evidence", fault=2, bit=False)
    judged = timed(*put(), *lasting(HALF_A_SECOND, toothless), *QUIET, *get("0.1"), STOP)
    assert (judged.verdict, judged.reasons()) == (Verdict.VALID, ())


def test_a_fault_that_met_no_node_needs_no_effect_if_another_of_its_kind_has() -> None:
    no_target = nemesis("evidence", fault=2, bit=False, detail={"felt": {}, "nobody": True})
    judged = timed(*put(), *lasting(LONG, no_target), *QUIET, *get("0.1"), STOP)
    assert judged.verdict is Verdict.VALID
    alone = [nemesis("start-cut", fault=2), no_target]
    judged = timed(*put(), *alone, *QUIET, *get("0.1"), STOP)
    assert "no cut fault is known to have taken effect" in judged.reasons()[0]


def test_a_fault_that_found_no_node_needs_no_effect() -> None:
    judged = timed(*put(), *lasting(LONG, skipped="nobody"), *QUIET, *get("0.1"), STOP)
    assert judged.verdict is Verdict.VALID


@pytest.mark.parametrize(
    ("ops", "reason"),
    [
        ([], "there were no final reads"),
        ([*put(), *get("0.1")], "did not reach its final reads"),
        ([*put(), harness("phase", "final"), *get("0.1")], "whether the cluster got quiet"),
        ([*put(), *QUIET], "there were no final reads"),
        ([*put("info"), *QUIET, *get()], "no write was acknowledged"),
        ([*put("fail"), *QUIET, *get()], "put was tried once and never succeeded"),
        ([*put(), nemesis("start-cut", fault=1), *QUIET, *get("0.1")], "no cut fault"),
        (
            [
                *put(),
                nemesis("start-cut", fault=1),
                nemesis("evidence", fault=1, bit=False),
                *QUIET,
                *get("0.1"),
            ],
            "no cut fault",
        ),
    ],
)
def test_without_evidence_it_is_unknown(ops: list[Op], reason: str) -> None:
    judged = results(*ops)
    assert judged.verdict is Verdict.UNKNOWN
    assert any(reason in reported for reported in judged.reasons())


def test_evidence_is_matched_by_the_number_of_the_fault() -> None:
    faults = [
        nemesis("start-cut", fault=1),
        nemesis("start-pause", fault=2),
        nemesis("evidence", fault=1, bit=True),
        nemesis("stop-cut", fault=1),
        nemesis("evidence", fault=2, bit=True),
        nemesis("stop-pause", fault=2),
    ]
    assert results(*put(), *faults, *QUIET, *get("0.1"), STOP).verdict is Verdict.VALID


def test_an_interrupted_test_still_proves_what_it_saw() -> None:
    judged = results(*put(), *get("9.9"))
    assert (judged.verdict, judged.counts()) == (Verdict.INVALID, {"phantom": 1})


def test_a_malformed_history_in_memory_is_unknown() -> None:
    judged = results(*put()[:1], *put()[:1])
    assert judged.verdict is Verdict.UNKNOWN
    assert "two invocations open" in judged.reasons()[0]


def test_a_crashing_checker_is_unknown_with_the_last_line() -> None:
    def crash() -> CheckerResult:
        raise KeyError("n9")

    verdict = check_safely("reads", crash)
    assert verdict.verdict is Verdict.UNKNOWN
    assert "KeyError: 'n9'" in verdict.reasons[0]


def test_invalid_outranks_unknown_and_skipped_decides_nothing() -> None:
    bad = judge([Anomaly("phantom", "why.")], ["a reason"])
    unknown = judge((), ["a reason"])
    assert Results({"a": unknown, "b": bad}).verdict is Verdict.INVALID
    assert Results({"a": unknown, "b": judge(())}).verdict is Verdict.UNKNOWN
    assert Results({"a": skip("not this workload"), "b": judge(())}).verdict is Verdict.VALID
    assert Results({"a": skip("not this workload")}).verdict is Verdict.UNKNOWN


def test_results_are_plain_data() -> None:
    result = results(*put(), *get("9.9")).to_dict()
    assert result["valid"] is False
    assert result["anomalies"] == {"phantom": 1}
    assert list(result["checkers"]) == list(CHECKERS)
    [phantom] = result["checkers"]["reads"]["anomalies"]
    assert phantom["ops"] == [3]


@pytest.mark.parametrize(
    ("at_rest", "why"), [(False, ""), ("ValueError: no such table", " (ValueError: no such table)")]
)
def test_a_store_that_never_was_at_rest_is_unknown(at_rest: Any, why: str) -> None:
    """Its final reads may show what was still to change."""
    outcome = {"quiet": False, "waiting": {"at_rest": at_rest}}
    found = results(*put(), harness("phase", "quiesce"), harness("quiesce", outcome))
    assert any(
        "the target's at_rest never answered that it is" + why == reason.partition(": ")[2]
        for reason in found.verdicts["evidence"].reasons
    )
