"""Journals of campaigns whose lines are not those of runs, as a merge and a resume meet them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from dynamesis.harness.campaign.journal import CellRun, Journal, read_runs
from dynamesis.harness.results.results import DamagedFolder

RUN = CellRun(1, "cart", ("test",), False, "valid", 0, 2.0, 2.0, "runs/0001/output.txt",
              anomalies={"lost-write": 2}, measures={"p99_ms": 3})  # fmt: skip


def test_a_run_is_read_as_it_was_written(tmp_path: Path) -> None:
    Journal(tmp_path / "runs.jsonl").add(RUN)
    assert read_runs(tmp_path / "runs.jsonl") == [RUN]


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("number", "1", "`$.number`"),
        ("number", 0, "number 0 is below 1"),
        ("verdict", "fine", "verdict 'fine' is none of invalid, error, unknown, valid"),
        ("why", "text", "`$.why`"),
        ("anomalies", ["lost-write"], "`$.anomalies`"),
        ("at", "late", "`$.at`"),
        ("colour", "red", "unknown keys colour"),
    ],
)
def test_a_line_that_is_not_of_a_run_is_named(
    key: str, value: Any, expected: str, tmp_path: Path
) -> None:
    path = tmp_path / "runs.jsonl"
    Journal(path).add(RUN)
    row = json.loads(path.read_text()) | {key: value}
    path.write_text(path.read_text() + json.dumps(row) + "\n")
    with pytest.raises(DamagedFolder) as raised:
        read_runs(path)
    assert f"{path}, line 2: expected a run of a campaign" in str(raised.value)
    assert expected in str(raised.value)
