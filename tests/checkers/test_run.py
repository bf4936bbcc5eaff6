"""One check of a test folder computes the timeline and the causal order once each."""

from __future__ import annotations

import ast
import json
from collections import Counter
from pathlib import Path

import pytest
from dynamesis.checkers.graph import run as runs
from dynamesis.checkers.graph.run import Run
from dynamesis.checkers.history.history import History
from dynamesis.checkers.models.models import MODELS, check_model
from dynamesis.harness.cli.app import run as command

BAD = Path(__file__).parents[1] / "histories" / "bad"


@pytest.fixture
def computed(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    counts: Counter[str] = Counter()

    def counted(name: str) -> None:
        compute = getattr(runs, name)

        def once_more(history: History) -> object:
            counts[name] += 1
            return compute(history)

        monkeypatch.setattr(runs, name, once_more)

    counted("causality")
    counted("timeline")
    return counts


def folder(path: Path) -> Path:
    """A test folder with an anomaly and with logs of the nodes, so that every part runs."""
    name = "lost-write-under-refused-delete"
    test = json.loads((BAD / f"{name}.test.json").read_text())
    path.joinpath("history.jsonl").write_bytes((BAD / f"{name}.jsonl").read_bytes())
    path.joinpath("test.json").write_text(json.dumps({**test, "workload": "set", "began": 0}))
    event = {"time": 0, "mono": 0, "node": "n1", "event": "start"}
    path.joinpath("nodes", "n1").mkdir(parents=True)
    path.joinpath("nodes", "n1", "node.log").write_text(json.dumps(event) + "\n")
    return path


def test_a_check_of_a_folder_computes_each_part_once(
    tmp_path: Path, computed: Counter[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(["check", str(folder(tmp_path))]) == 1
    assert computed == {"causality": 1, "timeline": 1}
    assert "lost-write" in capsys.readouterr().out


def test_only_model_dynamo_computes_the_causal_order(computed: Counter[str]) -> None:
    for model in MODELS.keys() - {"dynamo"}:
        check_model(model, History.of([]))
    assert computed["causality"] == 0


def test_a_run_computes_nothing_before_it_is_asked(computed: Counter[str]) -> None:
    run = Run(History.of([]))
    assert not computed
    assert run.order is run.order
    assert run.timeline is run.timeline


def test_no_other_module_computes_them() -> None:
    """Names are imported from the modules themselves, so that the imports show every caller."""
    root = Path(__file__).parents[2]
    for path in (
        p for part in ("checkers", "workloads", "harness") for p in root.glob(f"{part}/**/*.py")
    ):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.ImportFrom) and path.name != "run.py":
                assert not {"causality", "timeline"} & {alias.name for alias in node.names}, path


def test_what_is_derived_from_a_run_is_derived_once() -> None:
    run, asked = Run(History.of([])), []

    def derive(of: Run) -> int:
        asked.append(of)
        return 7

    assert [run.once(derive), run.once(derive)] == [7, 7]
    assert len(asked) == 1
