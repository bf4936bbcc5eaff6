"""A node that takes long to start again holds up no other fault, and is waited for in the end."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import dynamesis

HERE = Path(__file__).parent
SLOW = f"""
import sys, time
sys.path.insert(0, {str(HERE)!r})
from dynamesis.targets import connects
from kv import Kv

STARTS = {{}}

class Slow(Kv):
    def command(self, node, site):
        STARTS.setdefault(node.name, []).append(time.monotonic())
        return super().command(node, site)

    async def ready(self, node, site):
        starts = STARTS[node.name]
        return await connects(node) and (len(starts) == 1 or time.monotonic() - starts[-1] > 12)
"""
FAULTS = """
faults:
- {start: 1.0, stop: 2.0, member: kill.one, nodes: [n3], signal: SIGKILL}
- {start: 1.5, stop: 4.0, member: pause.minority, nodes: [n2]}
"""


@pytest.mark.cluster
def test_a_slow_start_holds_up_the_end_of_no_other_fault(tmp_path: Path) -> None:
    """A node that was killed takes 12 s to start; a pause of another, which ends after that, ends
    long before; the next fault comes when both serve."""
    (tmp_path / "slow.py").write_text(SLOW)
    (tmp_path / "faults.yaml").write_text(FAULTS)
    result = dynamesis.run_test(
        target=f"{tmp_path / 'slow.py'}:Slow", workload="register", time_limit=6, seed=5,
        schedule=tmp_path / "faults.yaml", links="embedded", store=tmp_path / "store",
    )  # fmt: skip
    assert result.verdict is dynamesis.Verdict.VALID, result.explain()
    lines = (result.folder / "history.jsonl").read_text().splitlines()
    began: dict[str, float] = {}
    for event in map(json.loads, lines):
        name = event["value"] if event["f"] == "phase" else event["f"]
        began.setdefault(name, event["time"] / 1e9)
    assert 2 < began["stop-pause"] - began["stop-kill"] < 9
    assert began["quiesce"] - began["stop-kill"] > 11
