"""The whole test that `dynamesis bench checkers` judges beside its histories."""

from __future__ import annotations

import time
from pathlib import Path

from dynamesis.checkers.history.history import read_history
from dynamesis.harness.bench.storm import measure, record, sizes
from dynamesis.harness.report.nodelog import nodes_of


def test_it_is_a_storm_with_node_logs_and_judged_as_a_stored_test_is(tmp_path: Path) -> None:
    folder = record(4.0, str(tmp_path))
    history = read_history(folder / "history.jsonl")
    assert any(f.startswith("start-") for f in history.fs), "there are faults"
    logs = nodes_of(folder)
    assert len(logs) >= 5
    measured = measure(folder, time.perf_counter)
    assert measured.case == "storm"
    assert measured.valid is True
    assert 300 < measured.operations < 900
    assert measured.check_cpu_s > 0
    files = [folder / "history.jsonl", *logs.values()]
    assert measured.file_mib == round(sum(file.stat().st_size for file in files) / (1 << 20), 1)


def test_no_test_is_longer_than_six_minutes() -> None:
    assert sizes([1_000_000, 1_200, 100_000]) == [1_200, 43_200]
