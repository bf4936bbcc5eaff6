"""Anomalies name the faults active meanwhile, and what last touched their key on each node."""

from __future__ import annotations

import pytest
from dynamesis.checkers.history.history import History, Op
from dynamesis.checkers.history.timeline import timeline
from dynamesis.checkers.models.explain import touches, with_faults, with_touches
from dynamesis.checkers.verdict import Anomaly, Results, judge

EVENTS = [
    {"time": 1.0, "node": "n1", "event": "stored", "key": "k", "why": "put", "hash": "aa"},
    {"time": 2.0, "node": "n2", "event": "stored", "key": "k", "why": "hint"},
    {"time": 3.0, "node": "n1", "event": "stored", "key": "other", "why": "put"},
    {"time": 4.0, "node": "n1", "event": "handed-off", "key": "k", "target": "n3"},
    {"time": 5.0, "node": "n1", "event": "exchange", "peer": "n2"},
]


def test_the_last_event_about_the_key_on_each_node_is_reported() -> None:
    results = Results({"final": judge([Anomaly("lost-write", "3.1 is gone.", "k", (1, 2))])})
    [anomaly] = with_touches(results, touches(EVENTS, results)).anomalies
    why = "3.1 is gone. Last touched on n1 by handed-off (target n3), n2 by hint."
    assert anomaly.why == why
    assert anomaly.data["last_touched"]["n2"]["time"] == 2.0


def test_without_logs_nothing_changes() -> None:
    results = Results({"final": judge([Anomaly("lost-write", "3.1 is gone.", "k", (1, 2))])})
    assert with_touches(results, touches([], results)) == results


def stored(node: str, why: str, request: str | None = None, key: str = "k") -> dict[str, object]:
    event = {"node": node, "event": "stored", "key": key, "why": why}
    return event if request is None else {**event, "request": request}


def test_a_lost_write_reports_where_it_was_stored_and_what_came_next_there() -> None:
    lost = Anomaly("lost-write", "3.1 is gone.", "k", (1,), {"id": "3.1"})
    stale = Anomaly("stale-read", "3.1 was not shown.", "k", (1,), {"id": "3.1"})
    results = Results({"final": judge([lost, stale])})
    log = [
        stored("n1", "stamp", "2.0"),
        stored("n1", "stamp", "3.1"),
        stored("n2", "put", "3.1"),
        {**stored("n3", "put", "3.1"), "hint_for": "n4"},
        stored("n1", "put", "9.9", key="other"),
        stored("n1", "put", "5.0"),
        stored("n2", "read-repair"),
        stored("n2", "put", "3.1"),
    ]
    explained, other = with_touches(results, touches(log, results)).anomalies
    assert explained.why == (
        "3.1 is gone. It was stored on n1 by stamp, n2 by put, n3 by put (a hint for n4); its key "
        "was touched next on n1 by put of 5.0, n2 by read-repair, n3 by nothing. "
        "Last touched on n1 by put, n2 by put, n3 by put."
    )
    assert explained.data["copies"]["n2"]["next"]["why"] == "read-repair"
    assert explained.data["copies"]["n3"]["next"] is None
    assert "copies" not in other.data


def stamped(node: str, request: str, dot: str) -> dict[str, object]:
    return {**stored(node, "stamp", request), "dot": dot}


def test_names_given_twice_are_reported() -> None:
    lost = Anomaly("lost-write", "3.1 is gone.", "k", (1,), {"id": "3.1"})
    split = Anomaly("divergence", "k differs.", "k", (2,))
    results = Results({"final": judge([lost, split])})
    log = [
        stamped("n1", "3.1", "a:1"),
        stamped("n2", "4.0", "a:1"),
        stamped("n2", "5.0", "a:2"),
        stamped("n3", "5.0", "c:1"),
        stamped("n3", "6.0", "c:2"),
    ]
    explained, other = with_touches(results, touches(log, results)).anomalies
    assert explained.data["doubles"] == ["a:1 was the name of 3.1 on n1 and 4.0 on n2"]
    assert " In the nodes' logs a:1 was the name of 3.1 on n1 and 4.0 on n2. Last" in explained.why
    both = [
        "a:1 was the name of 3.1 on n1 and 4.0 on n2",
        "5.0 was stamped as a:2 on n2 and c:1 on n3",
    ]
    assert other.data["doubles"] == both


def test_only_what_an_anomaly_is_about_is_reported() -> None:
    log = [stamped("n1", "3.1", "a:1"), stamped("n2", "4.0", "a:1"), stamped("n3", "8.0", "c:1"),
           stamped("n1", "9.0", "c:1"), {**stored("n3", "stamp"), "dot": "c:1"}]  # fmt: skip

    def why(name: str, **data: object) -> str:
        results = Results({"some": judge([Anomaly(name, "It is so.", "k", (1,), dict(data))])})
        return with_touches(results, touches(log, results)).anomalies[0].why

    ours, theirs = "a:1 was the name of 3.1 on n1 and 4.0 on n2", "c:1 was the name of"
    assert ours in why("divergence", lacking={"4.0": ["n3"]})
    assert theirs not in why("divergence", lacking={"4.0": ["n3"]})
    assert ours in why("false-sibling")
    assert theirs in why("false-sibling")
    assert ours not in why("duplicate-dot", dot="a:1"), "its own text names it"
    assert "No node's log has it stored, unless" in why("lost-write", id="5.5")
    assert "No node's log" not in why("lost-write", id="3.1")


def nemesis(f: str, **value: object) -> Op:
    return Op(type="info", process="nemesis", f=f, value=value)


HISTORY = History.of(
    [
        nemesis("start-kill", fault=1, nodes=["n1"]),
        nemesis("stop-kill", fault=1),
        nemesis("start-cut", fault=2, grudge=[["n1"], ["n2"]]),
        Op(process=0, f="get", key="k"),
        nemesis("stop-cut", fault=2),
        nemesis("start-pause", fault=3, nodes=["n2"]),
    ]
)


@pytest.mark.parametrize(
    ("ops", "during", "faults"),
    [((3,), (), [2]), ((1, 3), (), [0, 2]), ((3,), (4, 5), [2, 5]), ((), (), None)],
)
def test_faults_are_reported_as_data_and_in_words(
    ops: tuple[int, ...], during: tuple[int, ...], faults: list[int] | None
) -> None:
    anomaly = Anomaly("lost-write", "3.1 is gone.", "k", ops, during=during)
    results = with_faults(Results({"final": judge([anomaly])}), timeline(HISTORY))
    [explained] = results.anomalies
    assert explained.data.get("faults") == faults
    assert ("Faults active meanwhile: " in explained.why) == bool(faults)
    assert ("cut n1 | n2 (index 2)" in explained.why) == (faults is not None and 2 in faults)
    assert with_faults(results, timeline(HISTORY)) == results
