"""Regression tests are added to those that a file has: none is lost, none comes twice."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from dynamesis.harness.cli.app import run
from dynamesis.harness.simulation.minimal import Minimal
from dynamesis.harness.simulation.pytest_file import pytest_file
from dynamesis.harness.simulation.results import FailedSchedule
from dynamesis.harness.simulation.schedules.draw import draw
from dynamesis.harness.usage.exits import USAGE


def failed(seed: int, drawn: int | None = None) -> FailedSchedule:
    schedule = draw(seed if drawn is None else drawn)
    small = Minimal(schedule, "lost-write", ("lost-write",), runs=0, seconds=0.0)
    return FailedSchedule(seed, None, small, None)


def names(text: str) -> list[str]:
    [table] = [each for each in ast.parse(text).body if isinstance(each, ast.Assign)]
    return list(ast.literal_eval(table.value))


@pytest.mark.parametrize("empty", [True, False])
def test_a_run_that_finds_nothing_leaves_the_tests_of_those_before(
    tmp_path: Path, empty: bool
) -> None:
    file = tmp_path / "test_found.py"
    if empty:
        file.write_text(pytest_file([]), encoding="utf-8")
    file.write_text(pytest_file([failed(1)], file), encoding="utf-8")
    before = file.read_text(encoding="utf-8")
    assert before == pytest_file([failed(1)])
    assert names(before) == ["lost-write-seed-1"]
    assert pytest_file([], file) == before
    assert pytest_file([failed(1)], file) == before
    file.write_text(pytest_file([failed(1, drawn=2), failed(3)], file), encoding="utf-8")
    after = file.read_text(encoding="utf-8")
    assert names(after) == ["lost-write-seed-1", "lost-write-seed-1-2", "lost-write-seed-3"]
    assert after.startswith(before.partition("}")[0])


@pytest.mark.parametrize("end", ["}", ",}", ',\n\n    # from another: "\u00e4"\n}'])
def test_what_was_changed_by_hand_stays(tmp_path: Path, end: str) -> None:
    file = tmp_path / "test_found.py"
    more = "\n\ndef test_mine() -> None:\n    assert SCHEDULES\n"
    file.write_text(f'X = "\u2028"; SCHEDULES = {{"\u00e4": "test: {{}}"{end}{more}', "utf-8")
    after = pytest_file([failed(1)], file)
    assert after.endswith(f"{end}{more}")
    assert names(after.partition("; ")[2]) == ["\u00e4", "lost-write-seed-1"]


@pytest.mark.parametrize("content", ["def test_it(): pass\n", "not python", "SCHEDULES = {1: 2}\n"])
def test_a_file_with_other_tests_is_refused_before_anything_is_played(
    tmp_path: Path, content: str, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "test_mine.py"
    file.write_text(content, encoding="utf-8")
    store = tmp_path / "store"
    assert run(["simulate", "--store", str(store), "--pytest", str(file)]) == USAGE
    [line] = capsys.readouterr().err.splitlines()
    assert f"--pytest: {file} has no SCHEDULES" in line
    assert file.read_text(encoding="utf-8") == content
    assert not store.exists()
