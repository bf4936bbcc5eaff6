"""Reports of histories: of the corpus, of a simulated store, and of one that is hostile."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from dynamesis.checkers.graph.run import Run
from dynamesis.checkers.history.history import Op, encode
from dynamesis.checkers.models.models import ModelOptions
from dynamesis.harness.check.evaluate import ModelChoice, judge, judge_history, read, save
from dynamesis.harness.report.page import render
from dynamesis.harness.results.results import HISTORY, REPORT, TEST, Folder

from tests.checkers.test_corpus_of_models import READ, named

HISTORIES = Path(__file__).parent.parent / "histories"


def dynamo_histories() -> dict[str, Path]:
    """By name of an anomaly of model `dynamo`: a history that shows it."""
    found: dict[str, Path] = {}
    for path in sorted((HISTORIES / "bad").glob("*.jsonl")):
        for name in _names(path):
            found.setdefault(name, path)
    return found


def _names(path: Path) -> list[str]:
    test = path.with_suffix(".test.json")
    results = judge(path, json.loads(test.read_text()) if test.exists() else {})
    return list(results["anomalies"])


def model_histories() -> dict[str, Path]:
    """By model and anomaly: a history that shows it."""
    found: dict[str, Path] = {}
    for path in sorted((HISTORIES / "models/bad").glob("*/*.edn")):
        for anomaly in sorted(named(path)):
            found.setdefault(f"{path.parent.name} {anomaly}", path)
    return found


def dynamo_report(path: Path, into: Path) -> Path:
    """The report of a history of the corpus, as the command writes it."""
    test = path.with_suffix(".test.json")
    content = json.loads(test.read_text()) if test.exists() else {}
    return report(path.read_bytes(), {"name": path.stem, **content}, into)


def report(history: bytes, test: dict[str, Any], into: Path) -> Path:
    """The report of a history and its test.json."""
    into.mkdir(parents=True, exist_ok=True)
    folder = Folder(into)
    (into / HISTORY).write_bytes(history)
    folder.save_json(TEST, test)
    save(folder, judge(into / HISTORY, test))
    return into / REPORT


def report_of(ops: Iterable[Op], test: dict[str, Any], into: Path) -> Path:
    """The report of events in memory."""
    return report(b"".join(map(encode, ops)), test, into)


def model_report(path: Path, into: Path) -> Path:
    """The report of a foreign history, judged by the model that its folder names."""
    asked: dict[str, Any] = {}
    for line in path.read_text().splitlines():
        if line.startswith("; "):
            name, value = line[2:].split(": ")
            asked[name.replace("-", "_")] = READ[name](value)
    history = read(path)
    results = judge_history(history, {}, ModelChoice(path.parent.name, ModelOptions(**asked)))
    into.mkdir(parents=True, exist_ok=True)
    page = into / REPORT
    content = render(path, Run(history), None, {"name": path.stem}, results)
    page.write_text(content, encoding="utf-8")
    return page
