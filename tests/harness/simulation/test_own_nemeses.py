"""A nemesis of a user's own in simulated tests: its faults are written, read, replayed and kept as
those of any other."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from dynamesis.harness.cli.app import run
from dynamesis.harness.simulation.play import replay
from dynamesis.harness.simulation.schedules.text import load
from dynamesis.harness.usage.exits import INVALID, UNKNOWN, VALID, UsageError

OWN = """
from dataclasses import replace
from dynamesis.harness.nemesis.catalogue import PACKAGES

[one] = [member for member in PACKAGES["cut"].members if member.name == "cut.one"]
MINE = replace(one, name="mine.one")
[kill] = [member for member in PACKAGES["kill"].members if member.name == "kill.one"]
KILL = replace(kill, name="mine.kill")
[join] = [each for each in PACKAGES["membership"].members if each.name == "membership.two"]
JOIN = replace(join, name="join")
"""
HEAD = "test: {workload: register, seed: 1}\nfaults:\n- {start: 0.1, stop: 0.2, "
CUT = "kind: refused, grudge: [[n1], [n2, n3]]}\n"


@pytest.fixture
def own(tmp_path: Path) -> str:
    (tmp_path / "own.py").write_text(OWN, encoding="utf-8")
    return f"{tmp_path}/own.py:MINE"


def test_its_failures_are_replayed_and_kept(own: str, tmp_path: Path) -> None:
    store, file = tmp_path / "store", tmp_path / "found.json"
    asked = ["simulate", "--quiet", "--jobs", "1", "--store", str(store), "--json", str(file)]
    asked += ["--nemesis", own, "--bug", "notfound-quorum"]
    assert run([*asked, "--schedules", "3", "--seed", "3"]) == INVALID
    failures = json.loads(file.read_text(encoding="utf-8"))["failures"]
    shown = [each for each in failures if each["faults"]]
    assert shown, "no failure that needs a fault"
    again = ["simulate", "--quiet", "--store", str(store), "--replay"]
    for failure in shown:
        folder = Path(failure["folder"])
        text = (folder / "simulated.yaml").read_text(encoding="utf-8")
        fault = yaml.safe_load(text)["faults"][0]
        assert (fault["member"], fault["family"]) == ("mine.one", "cut")
        assert replay(text)["anomalies"], "as its regression test does it"
        assert run([*again, str(folder)]) == INVALID
        assert run(["shrink", str(folder)]) in (0, UNKNOWN)
    kept = [each.read_text() for each in (store / "simulations/failures").glob("*.yaml")]
    assert any("member: mine.one" in each for each in kept)
    assert run([*asked, "--schedules", str(len(kept)), "--seed", "1"]) == INVALID
    first = json.loads(file.read_text(encoding="utf-8"))
    assert first["invalid"] == len(kept), "what failed is played first"


@pytest.mark.parametrize("name", ["KILL", "JOIN"])
def test_a_sound_node_is_valid_under_it(name: str, own: str, tmp_path: Path) -> None:
    """Whatever it is called, what it does is known by the family of its faults."""
    test = ["test", "--world", "simulated", "--seed", "3", "--time-limit", "5s", "--quiet"]
    file = own.replace("MINE", name)
    assert run([*test, "--nemesis", file, "--store", str(tmp_path / "store")]) == VALID


def test_a_member_of_ones_own_has_its_family_beside_it() -> None:
    [start, _] = load(f"{HEAD}member: mine, family: cut, {CUT}", "f").schedule.faults
    assert (start.f, start.action.member) == ("start-cut", "mine")


@pytest.mark.parametrize(
    ("member", "wrong"),
    [
        ("member: mine, ", "line 3: member: 'mine' is not allowed"),
        ("member: mine, family: mine, ", "line 3: family: 'mine' is not allowed"),
        ("member: cut.one, family: kill, ", "line 3: family: no such key here"),
        ("member: [a], family: cut, ", "line 3: member: .* is not the name of a member"),
    ],
)
def test_a_member_without_its_family_is_refused(member: str, wrong: str) -> None:
    with pytest.raises(UsageError, match=wrong):
        load(f"{HEAD}{member}{CUT}", "f")


@pytest.mark.parametrize("command", [["simulate"], ["test", "--world", "simulated"]])
def test_two_bugs_that_one_node_cannot_have_are_refused(
    command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    more = ["--bug", "torn-hint", "--bug", "hint-early-delete", "--store", str(tmp_path)]
    assert run([*command, *more]) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert "--bug: two of these bugs replace hints" in line
    assert not list(tmp_path.iterdir())
