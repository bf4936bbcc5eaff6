"""What a stored test has lost leaves its verdict unknown, with what is missing: events of its
history, fields of its test.json, logs of its nodes."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from dynamesis.harness.check.evaluate import judge, locate, stored_test
from dynamesis.harness.usage.exits import UsageError
from dynamesis.harness.worlds.run_test import run_test

Row = dict[str, Any]
Keep = Callable[[Row], bool]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a small test, valid."""
    store = tmp_path_factory.mktemp("store")
    ended = run_test(
        workload="register", nemesis=("kill",), world="simulated", time_limit=2.0, keys=4, seed=5,
        store=store,
    )  # fmt: skip
    assert ended.valid, ended.explain()
    return Path(ended.folder)


def copied(whole: Path, into: Path, keep: Keep = lambda row: True) -> Path:
    """The folder, with the events of its history that are to be kept."""
    shutil.copytree(whole, into)
    rows = [json.loads(line) for line in (whole / "history.jsonl").open()]
    kept = [row for row in rows if keep(row)]
    place = {row["index"]: number for number, row in enumerate(kept)}
    for row in kept:
        row["index"] = place[row["index"]]
        if row.get("basis") is not None:
            row["basis"] = place[row["basis"]]
    (into / "history.jsonl").write_text("".join(json.dumps(row) + "\n" for row in kept))
    return into


def reasons(folder: Path) -> str:
    """Why the verdict is unknown."""
    home, history = locate(folder)
    assert home is not None
    found = judge(history, stored_test(home))
    assert found["valid"] == "unknown", found["anomalies"]
    return " ".join(
        reason for each in found["checkers"].values() for reason in each.get("reasons", ())
    )


def of_nodes(f: str, *nodes: str) -> Keep:
    """All but the events of this f, of these nodes or of all."""
    return lambda row: row["f"] != f or (bool(nodes) and row["value"]["node"] not in nodes)


#: what is lost -> which events stay, and a part of the reason
EVENTS: dict[str, tuple[Keep, str]] = {
    "sizes": (of_nodes("sizes"), "no node reported what it has in progress"),
    "sizes of one": (of_nodes("sizes", "n3"), "n3 did not report what it has in progress"),
    "views": (of_nodes("membership"), "no node reported its members and owners"),
    "view of one": (of_nodes("membership", "n3"), "n3 did not report its members and owners"),
    "heal": (lambda row: row.get("value") != "heal", "the history has no phase heal"),
    "ends": (lambda row: row["f"] != "stop-kill", "is not known to have been lifted"),
    "dumps": (
        lambda row: (row["f"], row.get("key")) != ("dump", "k0"),
        "1 key had no dump of a primary",
    ),
}


@pytest.mark.parametrize("lost", EVENTS)
def test_events_that_are_lost(lost: str, whole: Path, tmp_path: Path) -> None:
    keep, reason = EVENTS[lost]
    home, history = locate(folder := copied(whole, tmp_path / "test", keep))
    found = judge(history, stored_test(home)) if home else {}
    why = " ".join(r for c in found["checkers"].values() for r in c.get("reasons", ()))
    # what a node did while it seems to be down is invalid besides
    assert found["valid"] == "unknown" or (lost == "ends" and found["valid"] is False)
    assert reason in why, folder


def test_logs_that_are_lost(whole: Path, tmp_path: Path) -> None:
    none = copied(whole, tmp_path / "none")
    shutil.rmtree(none / "nodes")
    assert "no node has an event log below" in reasons(none)
    one = copied(whole, tmp_path / "one")
    (one / "nodes" / "n3" / "node.log").unlink()
    assert "n3 has no event log" in reasons(one)
    cut = copied(whole, tmp_path / "cut")
    log = cut / "nodes" / "n3" / "node.log"
    log.write_bytes(log.read_bytes()[: log.stat().st_size // 3])
    assert "the event log of n3 is cut off: its last line is" in reasons(cut)


def test_fields_that_are_lost(whole: Path, tmp_path: Path) -> None:
    folder = copied(whole, tmp_path / "test")
    test = json.loads((whole / "test.json").read_text())

    def without(field: str, **given: Any) -> Path:
        kept = {name: value for name, value in test.items() if name != field}
        (folder / "test.json").write_text(json.dumps({**kept, **given}))
        return folder

    assert "test.json has no ring to compare them by" in reasons(without("ring"))
    assert "field began: expected when the history begins" in reasons(without("began"))
    for given, message in (
        ({"checkers": []}, "expected one that judges, not none alone"),
        ({"checkers": ["stats", "staleness"]}, "not stats, staleness alone"),
        ({"reconcile": "vote"}, "expected one of siblings, lww, got 'vote'"),
    ):
        with pytest.raises(UsageError, match=message):
            stored_test(locate(without(next(iter(given)), **given))[0])  # type: ignore[arg-type]
