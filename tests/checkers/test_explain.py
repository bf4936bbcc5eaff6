"""Anomalies tell the faults active meanwhile, and what last touched their key on each node."""

from __future__ import annotations

import pytest

from checkers.course import course
from checkers.explain import anomalous_keys, last_touches, with_faults, with_touches
from checkers.history import History, Op
from checkers.verdict import Anomaly, Results, judge

EVENTS = [
    {"time": 1.0, "node": "n1", "event": "stored", "key": "k", "why": "put", "hash": "aa"},
    {"time": 2.0, "node": "n2", "event": "stored", "key": "k", "why": "hint"},
    {"time": 3.0, "node": "n1", "event": "stored", "key": "other", "why": "put"},
    {"time": 4.0, "node": "n1", "event": "handed-off", "key": "k", "target": "n3"},
    {"time": 5.0, "node": "n1", "event": "exchange", "peer": "n2"},
]


def test_the_last_event_about_the_key_on_each_node_is_told() -> None:
    results = Results({"final": judge([Anomaly("lost-write", "3.1 is gone.", "k", (1, 2))])})
    touches = last_touches(EVENTS, anomalous_keys(results))
    [anomaly] = with_touches(results, touches).anomalies
    why = "3.1 is gone. Last touched on n1 by handed-off (target n3), n2 by hint."
    assert anomaly.why == why
    assert anomaly.data["last_touched"]["n2"]["time"] == 2.0


def test_without_logs_nothing_changes() -> None:
    results = Results({"final": judge([Anomaly("lost-write", "3.1 is gone.", "k", (1, 2))])})
    assert with_touches(results, last_touches([], ["k"])) == results


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
def test_faults_are_told_as_data_and_in_words(
    ops: tuple[int, ...], during: tuple[int, ...], faults: list[int] | None
) -> None:
    anomaly = Anomaly("lost-write", "3.1 is gone.", "k", ops, during=during)
    results = with_faults(Results({"final": judge([anomaly])}), course(HISTORY))
    [told] = results.anomalies
    assert told.data.get("faults") == faults
    assert ("Faults active meanwhile: " in told.why) == bool(faults)
    assert ("cut n1 | n2 (index 2)" in told.why) == (faults is not None and 2 in faults)
    assert with_faults(results, course(HISTORY)) == results
