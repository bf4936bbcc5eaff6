"""What repaired the keys after a heal, from the nodes' logs."""

from __future__ import annotations

from dynamesis.checkers.graph.run import Run
from dynamesis.checkers.history.history import History, Op
from dynamesis.checkers.measure.repairs import repairs

BEGAN = 7_000_000_000


def test_the_last_copy_that_no_client_sent_is_when_a_key_converged() -> None:
    events = [
        {"mono": BEGAN + ms * 1_000_000, "node": node, "event": event, "key": key, "why": why}
        for ms, node, event, key, why in (
            (900, "n1", "stored", "a", "hint"),
            (1500, "n1", "stored", "a", "read-repair"),
            (1700, "n2", "stored", "a", "hint"),
            (1800, "n1", "stored", "a", "anti-entropy"),
            (1900, "n3", "stored", "a", "put"),
            (1250, "n1", "stored", "b", "hint"),
            (1260, "n1", "read-repair", "b", None),
            (3500, "n1", "stored", "b", "read-repair"),
        )
    ]
    found = repairs(Run(_healed(True)), events, BEGAN)
    assert found == {
        "keys": 2,
        "by": {"anti-entropy": 1, "hint": 2},
        "s": {"p50": 0.525, "p99": 0.794, "p100": 0.8},
        "slowest": {
            "a": {"s": 0.8, "by": {"n1": "anti-entropy", "n2": "hint"}},
            "b": {"s": 0.25, "by": {"n1": "hint"}},
        },
    }


def test_a_cluster_that_did_not_get_quiet_did_not_converge() -> None:
    assert repairs(Run(_healed(False)), [], BEGAN) is None


def test_a_fault_that_ended_before_the_heal_is_what_keys_recover_from() -> None:
    nemesis = {"type": "info", "process": "nemesis"}
    history = History.of(
        [
            Op(time=0, f="start-cut", value={"fault": 1}, **nemesis),
            Op(time=500_000_000, f="stop-cut", value={"fault": 1}, **nemesis),
            Op(time=1_000_000_000, type="info", f="phase", value="heal"),
            Op(time=3_000_000_000, type="info", f="quiesce", value={"quiet": True}),
        ]
    )
    copy = {"mono": BEGAN + 900_000_000, "node": "n1", "event": "stored", "key": "a", "why": "hint"}
    found = repairs(Run(history), [copy], BEGAN)
    assert found is not None
    assert found["slowest"]["a"]["s"] == 0.4


def _healed(quiet: bool) -> History:
    phase = {"type": "info", "process": "harness"}
    return History.of(
        [
            Op(time=1_000_000_000, f="phase", value="heal", **phase),
            Op(time=3_000_000_000, f="quiesce", value={"quiet": quiet}, **phase),
        ]
    )
