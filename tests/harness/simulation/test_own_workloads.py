"""Workloads of a user's own in simulated tests: by the name that they were given, with their own
check."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest
import yaml
from dynamesis.harness.cli.app import run
from dynamesis.harness.simulation.schedules.draw import SwarmScope, draw
from dynamesis.harness.usage.exits import INVALID, UNKNOWN, USAGE, VALID

#: one with a name of its own, one called as another is, one whose check finds fault with all,
#: one whose check cannot judge, one that raises
OWN = """
from dataclasses import replace
from dynamesis.checkers.verdict import Anomaly, judge
from dynamesis.workloads import WORKLOADS

MINE = replace(WORKLOADS["blind"], name="mine")
OTHER = replace(WORKLOADS["blind"], name="other")

def wrong(run):
    return judge([Anomaly("not-mine", "nothing is right")])

def broken(run):
    raise AttributeError("no check")

def raises(load):
    raise ValueError("no script")

WRONG = replace(WORKLOADS["blind"], check=wrong)
BROKEN = replace(WORKLOADS["blind"], name="mine", check=broken)
RAISES = replace(WORKLOADS["blind"], script=raises)
"""


@pytest.fixture
def own(tmp_path: Path) -> str:
    (tmp_path / "own.py").write_text(OWN, encoding="utf-8")
    return f"{tmp_path}/own.py"


def _simulate(store: Path, *more: str) -> int:
    given = ["--schedules", "3", "--seed", "1", "--jobs", "1", "--quiet"]
    return run(["simulate", "--store", str(store), *given, *more])


@pytest.mark.parametrize(
    ("name", "code"), [("MINE", VALID), ("WRONG", INVALID), ("BROKEN", UNKNOWN), ("RAISES", USAGE)]
)
def test_it_is_played_and_judges(name: str, code: int, own: str, tmp_path: Path) -> None:
    assert _simulate(tmp_path / "store", "--workload", f"{own}:{name}") == code


def test_its_failures_are_replayed_and_kept(own: str, tmp_path: Path) -> None:
    store, file = tmp_path / "store", tmp_path / "found.json"
    more = ("--workload", f"{own}:WRONG")
    assert _simulate(store, *more, "--json", str(file)) == INVALID
    [failure] = json.loads(file.read_text(encoding="utf-8"))["failures"]
    assert failure["anomalies"] == ["not-mine"]
    schedule = yaml.safe_load((Path(failure["folder"]) / "simulated.yaml").read_text())
    assert schedule["test"]["workload"] == f"{own}:WRONG"
    again = ["simulate", "--quiet", "--store", str(store), "--replay"]
    assert run([*again, failure["folder"]]) == INVALID
    assert run([*again, failure["token"], *more]) == INVALID
    assert run([*again, failure["token"]]) == USAGE
    assert run(["check", failure["folder"]]) == INVALID
    assert run(["simulate", *more, "--schedules", "1", "--store", str(store), "--json", str(file),
                "--quiet"]) == INVALID  # fmt: skip
    [first] = json.loads(file.read_text(encoding="utf-8"))["failures"]
    assert first["token"] == failure["token"], "what failed is played first"


def test_the_order_of_names_means_nothing(own: str) -> None:
    names = (f"{own}:MINE", f"{own}:OTHER")
    for seed in range(20):
        one, other = draw(seed, SwarmScope(names)), draw(seed, SwarmScope(names[::-1]))
        assert one.spec == other.spec


@pytest.mark.parametrize("name", ["dynamo/blind", "blind"])
def test_names_with_their_language_are_taken_too(name: str, tmp_path: Path) -> None:
    assert _simulate(tmp_path, "--workload", name) == VALID
    test = ["test", "--world", "simulated", "--seed", "1", "--time-limit", "2s", "--quiet"]
    store = tmp_path / "tests"
    assert run([*test, "--workload", name, "--nemesis", "none", "--store", str(store)]) == VALID
    assert run(["check", str(store / "latest")]) == VALID


def test_what_is_printed_plays_it_again(
    own: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With the names that a token does not hold; folders with a space in their name are quoted."""
    store, spaced = tmp_path / "a store", tmp_path / "my own.py"
    spaced.write_text(Path(own).read_text(encoding="utf-8"), encoding="utf-8")
    more = ["--workload", f"{spaced}:WRONG", "--seed", "1", "--schedules", "2", "--jobs", "1"]
    assert run(["simulate", "--plain", "--store", str(store), *more]) == INVALID
    [again] = [line for line in capsys.readouterr().out.splitlines() if "  again   " in line]
    [file] = store.glob("simulations/2*/1-*/simulated.yaml")
    test = json.loads((file.parent / "test.json").read_text(encoding="utf-8"))
    replayed = file.read_text(encoding="utf-8").splitlines()[0].partition(": ")[2]
    for line in (again.removeprefix("  again   "), test["command"], replayed):
        program, *words = shlex.split(line)
        assert program == "dynamesis"
        assert run([*words, "--store", str(store), "--quiet"]) == INVALID, line
