"""Every hand-made history in tests/histories gets exactly the anomalies that it is named for.

A bad one's name begins with its anomalies, joined by commas, then a dash and a variant; an
ok one's with the anomaly that it nearly shows."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from dynamesis.checkers.formats.io import read_any, write_edn, write_json
from dynamesis.checkers.history.history import History, read_history
from dynamesis.checkers.models.dynamo import check
from dynamesis.checkers.verdict import Results, Verdict

HISTORIES = Path(__file__).parent.parent / "histories"

ANOMALIES = (
    "aborted-read",
    "altered-value",
    "causal-cycle",
    "crash",
    "crossed-key",
    "divergence",
    "duplicate-dot",
    "duplicate-sibling",
    "extra-item",
    "false-sibling",
    "future-read",
    "impossible-ack",
    "leak",
    "lost-hint",
    "lost-item",
    "lost-write",
    "misplaced",
    "monotonic-reads",
    "monotonic-writes",
    "phantom",
    "read-your-writes",
    "resurrection",
    "split-membership",
    "stale-read",
    "stuck",
    "unavailable",
    "unbounded",
    "writes-follow-reads",
)


def files(kind: str) -> list[Any]:
    return [pytest.param(p, id=p.stem) for p in sorted((HISTORIES / kind).glob("*.jsonl"))]


def named(path: Path) -> set[str]:
    *others, last = path.stem.split(",")
    return {*others, next(a for a in ANOMALIES if last.startswith(f"{a}-"))}


def beside(path: Path) -> dict[str, Any] | None:
    """The test.json beside a history, if any."""
    test_json = path.with_suffix(".test.json")
    return json.loads(test_json.read_text()) if test_json.exists() else None


def judged(path: Path) -> Results:
    return check(read_history(path), beside(path))


@pytest.mark.parametrize("path", files("bad"))
def test_bad_history_shows_exactly_its_anomalies(path: Path) -> None:
    results = judged(path)
    assert results.verdict is Verdict.INVALID
    assert set(results.counts()) == named(path)


@pytest.mark.parametrize("path", files("bad"))
def test_every_anomaly_names_its_proof(path: Path) -> None:
    length = len(read_history(path))
    for anomaly in judged(path).anomalies:
        assert anomaly.ops
        assert all(0 <= row < length for row in anomaly.ops)
        assert anomaly.why.endswith(".")


@pytest.mark.parametrize(("suffix", "write"), [("edn", write_edn), ("json", write_json)])
@pytest.mark.parametrize("kind", ["bad", "ok"])
def test_what_is_exported_is_judged_the_same(
    tmp_path: Path, kind: str, suffix: str, write: Callable[[History, Path], None]
) -> None:
    exported = tmp_path / f"history.{suffix}"
    for param in files(kind):
        path = param.values[0]
        write(read_history(path), exported)
        again = check(read_any(exported), beside(path)).to_dict()
        assert (path.stem, again) == (path.stem, judged(path).to_dict())


@pytest.mark.parametrize("path", files("ok"))
def test_near_miss_is_valid(path: Path) -> None:
    results = judged(path)
    assert (results.verdict, results.counts(), results.reasons()) == (Verdict.VALID, {}, ())


@pytest.mark.parametrize("anomaly", ANOMALIES)
def test_each_anomaly_has_two_of_each_kind(anomaly: str) -> None:
    bad = [p for p in (HISTORIES / "bad").glob("*.jsonl") if anomaly in named(p)]
    near = list((HISTORIES / "ok").glob(f"{anomaly}-*.jsonl"))
    assert len(bad) >= 2
    assert len(near) >= 2
