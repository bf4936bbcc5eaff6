"""Anomalies tell which mechanism last touched their key on each node."""

from __future__ import annotations

from checkers.explain import anomalous_keys, last_touches, with_touches
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
