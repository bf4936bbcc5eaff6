"""The event log of a simulated node reads as its file would: what JSON has as it is, and what it
has otherwise."""

from dynamesis.harness.worlds.simulated.log import SimulatedLog
from dynamesis.harness.worlds.simulated.loop import BEGAN, VirtualLoop


def test_lines_are_as_they_are_read_from_a_file() -> None:
    log = SimulatedLog("n1", VirtualLoop())
    log.add(1_500_000_000, "plain", {"key": "k0", "times": 2, "took": 0.5, "to": None, "up": True})
    log.add(2, "nested", {"key": b"k\xff", "holds": (b"a", "b"), "why": {1: ("x",)}, "kind": int})
    assert log.lines() == (
        {
            "time": 1.5, "mono": round(BEGAN * 1e9), "node": "n1", "event": "plain", "key": "k0",
            "times": 2, "took": 0.5, "to": None, "up": True,
        },
        {
            "time": 2e-9, "mono": round(BEGAN * 1e9), "node": "n1", "event": "nested",
            "key": "k\\xff", "holds": ["a", "b"], "why": {"1": ["x"]}, "kind": "<class 'int'>",
        },
    )  # fmt: skip
