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


@pytest.mark.cluster
def test_a_slow_start_holds_up_no_other_fault(tmp_path: Path) -> None:
    (tmp_path / "slow.py").write_text(SLOW)
    result = dynamesis.run_test(
        target=f"{tmp_path / 'slow.py'}:Slow", workload="register", nemesis=["kill.one"],
        time_limit=6, seed=5, links="embedded", store=tmp_path / "store",
    )  # fmt: skip
    assert result.verdict is dynamesis.Verdict.VALID, result.explain()
    lines = (result.folder / "history.jsonl").read_text().splitlines()
    events = [
        event for event in map(json.loads, lines) if event["process"] in ("nemesis", "harness")
    ]
    lifted = [event["time"] / 1e9 for event in events if event["f"] == "stop-kill"]
    assert 2 < lifted[1] - lifted[0] < 10
    quiesced = next(e["time"] / 1e9 for e in events if e["value"] == "quiesce")
    assert quiesced - lifted[0] > 11
