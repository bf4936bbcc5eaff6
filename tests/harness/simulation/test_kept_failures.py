"""The database of failures: what a run has found is what the next such run plays first."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest
import yaml
from dynamesis.checkers.history.op import JsonObject
from dynamesis.harness.cli.app import run
from dynamesis.harness.simulation.failures import Failures
from dynamesis.harness.simulation.replay import find
from dynamesis.harness.simulation.schedules.draw import SwarmScope, draw
from dynamesis.harness.simulation.schedules.text import Written
from dynamesis.harness.simulation.schedules.token import encode, is_current
from dynamesis.harness.usage.exits import INVALID, UNKNOWN, USAGE
from dynamesis.harness.worlds.test_spec import TestSpec

#: what many bugs show alike
RESULTS = {
    "valid": False,
    "anomalies": {"lost-write": 1},
    "checkers": {"final": {"valid": False, "anomalies": []}},
}


def found(folder: Failures, wanted: SwarmScope) -> Written:
    """A failure that a run of this has found, and kept."""
    written = Written(draw(1, wanted), ("lost-write",), encode(1, wanted))
    folder.keep(written, RESULTS, wanted)
    return written


def played(folder: Failures, wanted: SwarmScope) -> list[str | None]:
    """The tokens of what is played first in a run of this."""
    refused: list[str] = []
    tokens = [each.written.token for each in folder.matching(wanted, refused.append)]
    assert not refused
    return tokens


def test_what_shows_the_same_as_another_bug_is_kept_for_its_own_runs(tmp_path: Path) -> None:
    folder = Failures(tmp_path / "failures")
    scopes = [
        SwarmScope(bug=("self-merge",)),
        SwarmScope(bug=("log-tail",)),
        SwarmScope(),
        SwarmScope(workloads=("register",), bug=("self-merge",)),
    ]
    tokens = [found(folder, wanted).token for wanted in scopes]
    again = [found(folder, wanted).token for wanted in scopes]
    assert again == tokens
    alike = [tokens[0], tokens[3]]
    assert [played(folder, wanted) for wanted in scopes[1:3]] == [[tokens[1]], [tokens[2]]]
    assert tokens[3] in played(folder, scopes[3])
    assert sorted(map(str, played(folder, scopes[0]))) == sorted(map(str, alike))
    assert len([*(tmp_path / "failures").iterdir()]) == len(scopes), "none is kept twice"


def test_a_failure_of_an_earlier_version_is_named_by_its_folder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its token would be refused."""
    asked = ["simulate", "--store", str(tmp_path), "--bug", "self-merge", "--jobs", "1", "--plain"]
    assert run([*asked, "--schedules", "2", "--seed", "1000", "--workload", "register"]) == INVALID
    assert " --replay sim-" in capsys.readouterr().out
    files = list((tmp_path / "simulations/failures").iterdir())
    for file in files:
        kept = file.read_text(encoding="utf-8")
        file.write_text(re.sub(r"(?m)^token: sim-.*$", "token: sim-aaaaaaaaaa", kept), "utf-8")
    assert run([*asked, "--schedules", str(len(files))]) == INVALID
    lines = capsys.readouterr().out.splitlines()
    again = [line for line in lines if line.startswith("  again ")]
    folders = [line.split()[1] for line in lines if line.startswith("  folder  ")]
    assert again
    assert again == [f"  again   dynamesis simulate --replay {each}" for each in folders]


def test_the_file_of_a_failure_of_processes_names_what_is_played_for_it(tmp_path: Path) -> None:
    """By the schedule that shows the same in simulation, where the file has one."""
    file = tmp_path / "lost-write-1.yaml"
    head = "anomalies: [lost-write]\nworld: processes\ntest: {workload: register, seed: 3}\n"
    file.write_text(f"{head}faults: []\n", encoding="utf-8")
    alone = find(str(file), SwarmScope())
    assert alone.written.schedule.operations is None
    assert [*alone.lacking()] == ["not carried over: what its clients did on processes"]
    near = "simulated:\n  test: {workload: set, seed: 4}\n  operations: []\n  faults: []\n"
    file.write_text(f"{head}faults: []\n{near}", encoding="utf-8")
    beside = find(str(file), SwarmScope())
    assert (beside.written.schedule.spec.workload, beside.written.schedule.operations) == (
        "set",
        (),
    )
    assert [*beside.lacking()] == ["what shows the same in simulation is played"]


#: a failure of one operation, which those that the workload draws do not show
SMALL = """
test: {world: simulated, workload: register, seed: 2, bug: [self-merge, aae-last-segment], nodes: 3,
       time_limit: 0.2, concurrency: 1}
operations:
- {at: 0.06, client: 0, put: k5, id: '2.8', value: 63, basis: null}
faults:
- {start: 0.041, stop: 0.087, member: cut.flapping, kind: reset, grudge: [[n2], [n1, n3]]}
"""


def test_a_failure_that_shrink_cannot_show_again_is_played_by_simulate(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each run of a simulated test is the same one: another try is for nothing."""
    (tmp_path / "small.yaml").write_text(SMALL, encoding="utf-8")
    again = ["simulate", "--store", str(tmp_path), "--quiet", "--replay"]
    assert run([*again, str(tmp_path / "small.yaml")]) == INVALID
    folder = (tmp_path / "latest").resolve()
    capsys.readouterr()
    assert run(["shrink", str(folder)]) == UNKNOWN
    *_, line = capsys.readouterr().out.splitlines()
    assert line == (
        f"it did not fail again in 1 run; as it was: dynamesis simulate --replay {folder}"
    )
    assert run([*again, str(folder)]) == INVALID


def test_the_faults_come_with_the_test_on_processes_that_they_are_of(
    tmp_path: Path,
) -> None:
    """Of a cluster of seven nodes not all faults can be done in one of five."""
    kill = "faults: [{start: 0.1, stop: 0.3, member: kill.one, nodes: [n7]}]\n"
    text = f"test: {{workload: set, nodes: 7, seed: 3, time_limit: 0.5, concurrency: 2}}\n{kill}"
    (tmp_path / "seven.yaml").write_text(text, encoding="utf-8")
    again = ["simulate", "--store", str(tmp_path), "--quiet", "--replay"]
    run([*again, str(tmp_path / "seven.yaml")])
    file = (tmp_path / "latest").resolve() / "schedule.yaml"
    _, _, command = file.read_text(encoding="utf-8").splitlines()[0].partition("processes: ")
    assert "--world" not in command
    program, *arguments = shlex.split(command)
    there = tmp_path / "there"  # in virtual time too, where it takes no ports
    assert run([*arguments, "--world=simulated", f"--store={there}", "--quiet"]) != USAGE
    test = json.loads((there / "latest" / "test.json").read_text(encoding="utf-8"))
    assert (program, test["workload"], len(test["nodes"])) == ("dynamesis", "set", 7)
    assert yaml.safe_load((there / "latest" / "schedule.yaml").read_text("utf-8")) == (
        yaml.safe_load(kill)
    )


def test_what_has_no_likeness_in_simulation_is_named(tmp_path: Path) -> None:
    """But a store in memory is simulated: a kill costs it all."""
    spec = TestSpec(
        workload="register", storage="memory", tls=Path("/etc/tls"), seed=1,
        target_version="/srv/old",
    )  # fmt: skip
    test = json.dumps({"name": "register", "spec": spec.to_dict()})
    (tmp_path / "test.json").write_text(test, encoding="utf-8")
    load: JsonObject = {"type": "info", "process": "harness", "f": "phase", "value": "load"}
    upgrade = {"fault": 1, "member": "upgrade.one", "nodes": ["n1"]}
    roll: JsonObject = {"type": "info", "process": "nemesis", "value": upgrade}
    each = (load, {**roll, "f": "start-upgrade"}, {**roll, "f": "stop-upgrade"})
    events = [{"index": at, "time": 5 * at, **event} for at, event in enumerate(each)]
    (tmp_path / "history.jsonl").write_text("\n".join(map(json.dumps, events)), "utf-8")
    again = find(str(tmp_path), SwarmScope())
    assert again.written.schedule.spec.storage == "memory"
    assert again.written.schedule.options.faults == ()
    *lost, _ = [each.removeprefix("not carried over: ") for each in again.lacking()]
    assert lost == ["--tls", "--target-version", "start-upgrade: nodes in another version"]


def test_a_token_is_current_where_its_flags_are_those_of_the_run() -> None:
    own = SwarmScope(nemeses=("cut", "/somewhere/faults.py:MINE"))
    assert is_current(encode(1, own), own)
    assert not is_current(encode(1, own), SwarmScope())
    assert not is_current(encode(1, SwarmScope()), own)
    assert is_current(encode(1, SwarmScope(("cart",), ("kill",), ("log-tail",))), SwarmScope())
    assert not is_current("sim-aaaaaaaaaa", SwarmScope())
