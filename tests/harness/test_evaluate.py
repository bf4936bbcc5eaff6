"""Judging the folder of a test joins the verdict with what the nodes logged."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from dynamesis.harness.check.evaluate import judge

BAD = Path(__file__).parent.parent / "histories" / "bad" / "divergence-two-halves"


def folder(tmp_path: Path, *lines: str) -> Path:
    """The history of a test, with the log of its node n1."""
    (tmp_path / "nodes" / "n1").mkdir(parents=True)
    (tmp_path / "nodes" / "n1" / "node.log").write_text("\n".join(lines), encoding="utf-8")
    return Path(shutil.copy(f"{BAD}.jsonl", tmp_path / "history.jsonl"))


def stored(key: str, mono: int) -> str:
    event = {"mono": mono, "node": "n1", "event": "stored", "key": key, "why": "handoff"}
    return json.dumps(event)


def test_an_anomaly_reports_what_last_touched_its_key(tmp_path: Path) -> None:
    test = json.loads(Path(f"{BAD}.test.json").read_text())
    [anomaly] = judge(Path(f"{BAD}.jsonl"), test)["checkers"]["replicas"]["anomalies"]
    history = folder(tmp_path, stored("elsewhere", 1), stored(anomaly["key"], 2), '{"mono": 3, "no')
    [shown] = judge(history, test)["checkers"]["replicas"]["anomalies"]
    assert shown["why"] == f"{anomaly['why']} Last touched on n1 by handoff."
    assert shown["data"]["last_touched"]["n1"]["mono"] == 2


def test_a_log_that_makes_no_sense_costs_no_verdict(tmp_path: Path) -> None:
    test = json.loads(Path(f"{BAD}.test.json").read_text())
    history = folder(tmp_path, '["no event"]', "7", '{"mono": 1, "event": "stored", "key": 5}')
    assert judge(history, test | {"began": 0})["valid"] is False
