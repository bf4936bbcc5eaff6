"""What the nodes logged makes a verdict of its own, beside that of the history."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from dynamesis.checkers.logs.situations import SITUATIONS
from dynamesis.harness.check.evaluate import judge

HISTORIES = Path(__file__).parent.parent / "histories"
OK = HISTORIES / "ok" / "stale-read-replaced"
OWNERS, TARGET = ["n1", "n2", "n3", "n4"], ["n5", "n2", "n3", "n4"]
LAYOUT = {"version": 2, "members": TARGET, "owners": OWNERS, "target": TARGET, "gone": []}


def folder(tmp_path: Path, *lines: dict[str, Any]) -> Path:
    """The history of a test, with the logs of its nodes, a line a ms."""
    for number, line in enumerate(lines):
        path = tmp_path / "nodes" / line["node"] / "node.log"
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="utf-8") as log:
            log.write(json.dumps({"mono": number * 1_000_000, **line}) + "\n")
    return Path(shutil.copy(f"{OK}.jsonl", tmp_path / "history.jsonl"))


def log(node: str, event: str, **fields: Any) -> dict[str, Any]:
    return {"node": node, "event": event, **fields}


CLAIM = log("n5", "ready-for", layout=2, partitions=[0])
BEGIN = [log("n5", "start"), log("n5", "layout", **LAYOUT)]
RECEIVED = [
    log("n5", "exchange", peer=peer, layout=2, partitions=[0]) for peer in ("n1", "n2", "n3")
]


@pytest.mark.parametrize(
    ("received", "valid"), [(RECEIVED, True), (RECEIVED[:2], False), ([], False)]
)
def test_a_claim_that_nothing_supports_makes_a_test_invalid(
    tmp_path: Path, received: list[dict[str, Any]], valid: bool
) -> None:
    test = json.loads(Path(f"{OK}.test.json").read_text()) | {"began": 0, "n": 3}
    history = folder(tmp_path, *BEGIN, *received, CLAIM)
    results = judge(history, test)
    assert results["valid"] is valid
    assert set(results["anomalies"]) == (set() if valid else {"early-ownership"})
    assert results["checkers"]["ownership"]["details"] == {"claims": 1}


def test_a_lone_history_has_no_such_checkers(tmp_path: Path) -> None:
    test = json.loads(Path(f"{OK}.test.json").read_text())
    lone = Path(shutil.copy(f"{OK}.jsonl", tmp_path / "lone.jsonl"))
    assert "ownership" not in judge(lone, test)["checkers"]


def test_logs_of_another_release_leave_them_skipped(tmp_path: Path) -> None:
    test = json.loads(Path(f"{OK}.test.json").read_text()) | {"began": 0}
    old = [log(f"n{i}", "stored", key="k", why="put", hash="aa") for i in range(1, 6)]
    results = judge(folder(tmp_path, *old), test)
    assert results["valid"] is True
    for name in ("ownership", "places", "handoffs"):
        assert results["checkers"][name]["skipped"]


def test_situations_are_counted_where_nodes_kept_logs(tmp_path: Path) -> None:
    test = json.loads(Path(f"{OK}.test.json").read_text()) | {"began": 0}
    lines = [log("n1", "forwarded", times=3), log("n2", "peer-suspected", peer="n1")]
    found = judge(folder(tmp_path, *lines), test)["stats"]["situations"]
    assert set(found) == set(SITUATIONS)
    assert +Counter(found) == {"put-forwarded": 3, "suspicion-raised": 1}
    lone = Path(shutil.copy(f"{OK}.jsonl", tmp_path / "lone.jsonl"))
    assert "situations" not in judge(lone, test)["stats"]
