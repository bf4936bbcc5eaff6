"""What was handed off is what was kept last: by logs made by hand."""

from __future__ import annotations

from typing import Any

import pytest
from dynamesis.checkers.graph.run import Run
from dynamesis.checkers.logs.logs import Event, Logs
from dynamesis.checkers.models.log_checkers import check_logs
from dynamesis.checkers.verdict import CheckerResult, Verdict
from log_lines import TEST, fault, history, line, logs, put


def kept(hash: str, at: float = 1.1, id: str = "1.1", what: str = "stored") -> Event:
    return line(at, "n4", what, key="k", hint_for="n3", request=id, why="put", hash=hash)


def sent(hash: str, at: float = 5, to: tuple[str, ...] = ("n3",)) -> Event:
    return line(at, "n4", "handed-off", key="k", target="n3", hash=hash, to=list(to))


def came(hash: str, at: float = 4.9, node: str = "n3", what: str = "stored", **more: Any) -> Event:
    return line(at, node, what, key="k", why="handoff", incoming=hash, hash="ff", **more)


def verdict(*lines: Any, ops: Any = (), among: Logs | None = None) -> CheckerResult:
    h = history(put("1.1", 1, 1.2), ops)
    return check_logs(Run(h, TEST), among or logs(*lines)).verdicts["handoffs"]


def test_what_arrives_as_it_was_kept_is_right() -> None:
    result = verdict(kept("aa"), came("aa"), sent("aa"))
    assert (result.verdict, result.details) == (Verdict.VALID, {"handed_off": 1})
    assert verdict(kept("aa"), came("aa", what="held"), sent("aa")).verdict is Verdict.VALID


def test_an_older_version_that_arrived_is_a_lost_hint() -> None:
    (anomaly,) = verdict(kept("aa"), kept("bb", 2), came("aa"), sent("bb")).anomalies
    assert (anomaly.name, anomaly.key) == ("lost-hint", "k")
    assert "n3 never received bb; what came there last was aa" in anomaly.why
    assert len(anomaly.ops) == 2


def test_a_hint_that_took_in_more_than_was_sent_is_lost() -> None:
    (anomaly,) = verdict(kept("aa"), came("aa"), kept("bb", 4.95), sent("aa")).anomalies
    assert "what it had kept last was bb with 1.1, and it handed aa off" in anomaly.why


def test_what_was_sent_to_a_node_that_got_nothing_is_lost() -> None:
    assert verdict(kept("aa"), sent("aa")).counts() == {"lost-hint": 1}
    assert verdict(kept("aa"), came("aa", node="n2"), sent("aa")).counts() == {"lost-hint": 1}


def test_what_was_in_memory_when_the_hint_went_is_a_lost_hint() -> None:
    memory = came("aa", durable=False)
    (anomaly,) = verdict(kept("aa"), memory, sent("aa")).anomalies
    assert "n3 had aa in memory only when it acknowledged that" in anomaly.why
    later = came("aa", 4.95, what="held")
    assert verdict(kept("aa"), memory, later, sent("aa")).verdict is Verdict.VALID
    kept_in_memory = {**kept("aa"), "durable": False}
    assert verdict(kept_in_memory, came("aa"), sent("aa")).verdict is Verdict.VALID


def test_all_destinations_must_have_it() -> None:
    both = (kept("aa"), came("aa"), sent("aa", to=("n3", "n2")))
    assert verdict(*both).counts() == {"lost-hint": 1}
    assert verdict(*both, came("aa", node="n2")).verdict is Verdict.VALID


@pytest.mark.parametrize(("down", "valid"), [(5.1, True), (2, True), (0.5, False)])
def test_the_end_of_a_log_that_a_kill_cut_off_excuses_unless_it_was_down_all_the_time(
    down: float, valid: bool
) -> None:
    """What arrived just before the kill may be acknowledged after it: links have latency."""
    cut = [kept("aa"), sent("aa"), line(0.2, "n3", "link-up"), line(8, "n3", "start")]
    killed = fault(1, "kill", down, 7, nodes=["n3"])
    assert verdict(*cut, ops=killed).verdict.json is valid


def test_what_an_earlier_life_kept_is_not_compared() -> None:
    again = line(3, "n4", "start")
    assert verdict(kept("bb"), again, came("aa"), sent("aa")).verdict is Verdict.VALID
    failed = line(3, "n4", "storage-error", table="hints", key="k", hint_for="n3")
    assert verdict(kept("bb"), failed, came("aa"), sent("aa")).verdict is Verdict.VALID


def test_older_logs_are_skipped() -> None:
    old = {k: v for k, v in sent("aa").items() if k != "hash"}
    assert verdict(kept("aa"), old).skipped == "no node logged that it handed a hint off"


def test_a_life_that_ended_in_between_may_have_received_it() -> None:
    again = line(3, "n3", "start")
    assert verdict(kept("aa"), again, sent("aa")).verdict is Verdict.VALID
    assert verdict(kept("aa"), line(0.9, "n3", "start"), sent("aa")).counts() == {"lost-hint": 1}


def again(at: float = 9, **hints: int) -> list[Event]:
    """n4 is started anew, and finds these hints."""
    return [line(at - 0.1, "n4", "start"), line(at, "n4", "ready", hints=hints)]


def recovered(*lines: Event, down: tuple[float, float] = (0.5, 20), ops: Any = ()) -> CheckerResult:
    """n4 lives until 8 s after the history began, and n3 is down for a while."""
    h = history(put("1.1", 1, 1.2), fault(1, "kill", *down, nodes=["n3"]), ops)
    alive = line(8, "n4", "peer-back", peer="n1")
    return check_logs(Run(h, TEST), logs(alive, *lines)).verdicts["recovered"]


def test_a_node_that_is_started_anew_finds_the_hints_that_it_kept() -> None:
    assert recovered(kept("aa"), *again(n3=1)).verdict is Verdict.VALID
    (anomaly,) = recovered(kept("aa"), *again()).anomalies
    assert (anomaly.name, anomaly.key) == ("lost-hint", "k")
    assert "ready again at 9.000 s with 0 hints for n3, but had kept 1 before" in anomaly.why


@pytest.mark.parametrize(
    "result",
    [
        recovered(kept("aa"), *again(), down=(0.5, 4)),  # it may have been handed off
        recovered(kept("aa", 7.5), *again()),  # it may not have been stored
        recovered(kept("aa"), line(2, "n4", "undone", key="k", hint_for="n3"), *again()),
        recovered(kept("aa") | {"durable": False}, *again()),
        recovered(kept("aa"), *again(), ops=fault(2, "disk", 3, 4, nodes=["n4"])),
    ],
)
def test_a_hint_that_may_be_gone_for_a_reason_is_not_judged(result: CheckerResult) -> None:
    assert result.skipped is not None
