"""`dynamesis simulate` from flags to files: what it finds, shrinks, keeps and replays."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import redirect_stdout
from pathlib import Path

import pytest
import yaml
from dynamesis.checkers.verdict import Verdict
from dynamesis.harness.cli.app import run
from dynamesis.harness.simulation.results import Tally
from dynamesis.harness.simulation.view import progress
from dynamesis.harness.usage.exits import INVALID, UNKNOWN, USAGE, VALID

KEYS = ["schedules", "per_minute", "valid", "invalid", "unknown", "situations", "failures"]
FAILURE = ["seed", "token", "anomalies", "operations", "faults", "folder"]
#: a bug that a few operations show
BUG = "self-merge"


def _simulate(store: Path, *more: str) -> int:
    return run(["simulate", "--store", str(store), "--quiet", "--jobs", "1", *more])


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run that found a planted bug."""
    folder = tmp_path_factory.mktemp("simulated")
    more = ("--schedules", "6", "--seed", "1000", "--bug", BUG, "--workload", "register,blind")
    files = ("--json", str(folder / "found.json"), "--pytest", str(folder / "test_found.py"))
    asked = ("simulate", "--store", str(folder / "store"), "--plain", "--jobs", "1")
    with (folder / "shown.txt").open("w", encoding="utf-8") as shown, redirect_stdout(shown):
        assert run([*asked, *more, *files]) == INVALID
    return folder


def _results(folder: Path) -> dict[str, object]:
    value: dict[str, object] = json.loads((folder / "found.json").read_text(encoding="utf-8"))
    return value


def _failure(folder: Path) -> dict[str, object]:
    failures = _results(folder)["failures"]
    assert isinstance(failures, list)
    value: dict[str, object] = failures[0]
    return value


@pytest.mark.parametrize(
    ("most", "limit", "words"),
    [
        (120, None, "4 of 120 schedules, 4:50 left"),
        (None, 60.0, "4 schedules, 0:50 left"),
        (120, 60.0, "4 of 120 schedules, 0:50 left"),
        (None, None, "4 schedules;"),
        (1, None, "4 of 1 schedule, "),
    ],
)
def test_the_progress_has_the_time_left(most: int | None, limit: float | None, words: str) -> None:
    tally = Tally()
    tally.verdicts[Verdict.VALID] = 4
    assert progress(tally, 10.0, most, limit).startswith(words)


def test_results_have_these_keys_and_add_up(found: Path) -> None:
    results = _results(found)
    assert list(results) == KEYS
    verdicts = [results[name] for name in ("valid", "invalid", "unknown")]
    assert sum(int(str(each)) for each in verdicts) == results["schedules"] == 6
    assert list(_failure(found)) == FAILURE


def test_a_failure_is_shrunk_to_a_few_operations_with_the_same_anomaly(found: Path) -> None:
    failure = _failure(found)
    assert int(str(failure["operations"])) <= 4
    assert failure["faults"] == 0
    folder = Path(str(failure["folder"]))
    results = json.loads((folder / "results.json").read_text(encoding="utf-8"))
    assert list(results["anomalies"]) == failure["anomalies"]
    written = yaml.safe_load((folder / "simulated.yaml").read_text(encoding="utf-8"))
    assert len(written["operations"]) == failure["operations"]
    assert written["token"] == failure["token"]


def test_a_folder_is_replayed_byte_for_byte_with_its_story(found: Path, tmp_path: Path) -> None:
    folder = Path(str(_failure(found)["folder"]))
    assert _simulate(tmp_path, "--replay", str(folder)) == USAGE  # --jobs is for swarms
    again = ["simulate", "--store", str(tmp_path), "--quiet", "--replay", str(folder)]
    assert run(again) == INVALID
    replayed = tmp_path / "simulations-replayed" / "latest"
    assert (replayed / "history.jsonl").read_bytes() == (folder / "history.jsonl").read_bytes()
    story = (replayed / "story.txt").read_text(encoding="utf-8")
    assert story == (folder / "story.txt").read_text(encoding="utf-8")
    assert "ReplicaPut" in story


def test_the_folder_of_an_ordinary_test_is_replayed_byte_for_byte(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Clients that give up, are replaced and wait for their turn, and faults of every kind."""
    tests, again = tmp_path / "tests", tmp_path / "again"
    asked = ["--workload", "delete", "--nemesis", "storm", "--time-limit", "3s", "--seed", "9"]
    run(["test", "--world", "simulated", *asked, "--store", str(tests), "--quiet"])
    folder = (tests / "latest").resolve()
    written = (folder / "history.jsonl").read_bytes()
    capsys.readouterr()
    for source in (folder, again / "latest"):
        code = run(["simulate", "--store", str(again), "--plain", "--replay", str(source)])
        assert code == run(["check", str(folder)])
        assert (again / "latest" / "history.jsonl").read_bytes() == written
        assert "not carried over" not in capsys.readouterr().out


def test_a_token_is_replayed_alike_under_any_hash_seed(found: Path, tmp_path: Path) -> None:
    token = str(_failure(found)["token"])
    assert len(token) <= 60
    here, there = tmp_path / "here", tmp_path / "there"
    again = ["simulate", "--replay", token, "--quiet", "--store"]
    assert run([*again, str(here)]) == INVALID
    command = [sys.executable, "-P", "-m", "dynamesis.harness", *again, str(there)]
    # any but that of this process: drawn at random, or given and not this one
    other = {"PYTHONHASHSEED": "1" if os.environ.get("PYTHONHASHSEED") != "1" else "2"}
    assert subprocess.run(command, env=other, timeout=300, check=False).returncode == INVALID
    history = "simulations-replayed/latest/history.jsonl"
    assert (here / history).read_bytes() == (there / history).read_bytes()


def test_a_replay_writes_the_files_of_a_run_of_one(found: Path, tmp_path: Path) -> None:
    failure = _failure(found)
    for number, source in enumerate((str(failure["token"]), str(failure["folder"]))):
        file, regression = tmp_path / f"{number}.json", tmp_path / f"test_{number}.py"
        assert run(["simulate", "--replay", source, "--store", str(tmp_path), "--quiet",
                    "--json", str(file), "--pytest", str(regression)]) == INVALID  # fmt: skip
        value = json.loads(file.read_text(encoding="utf-8"))
        assert list(value) == KEYS
        assert (value["schedules"], value["invalid"]) == (1, 1)
        [shown] = value["failures"]
        assert list(shown) == FAILURE
        assert shown["operations"] > 0
        assert set(failure["anomalies"]) <= set(shown["anomalies"])  # type: ignore[call-overload]
        assert (Path(shown["folder"]) / "history.jsonl").is_file()
        assert f"-seed-{shown['seed']}" in regression.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "more", [["--bug", "amnesia"], ["--workload", "cart"], ["--nemesis", "cut"]]
)
def test_what_is_replayed_has_its_own_names(
    more: list[str], found: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    failure = _failure(found)
    for source in (failure["token"], failure["folder"], f"{failure['folder']}/simulated.yaml"):
        again = ["simulate", "--store", str(tmp_path), "--replay", str(source), *more]
        assert run(again) == USAGE
        [line] = capsys.readouterr().err.splitlines()
        assert f"{more[0]}: " in line
        assert line.endswith("leave it out")
    same = ["simulate", "--store", str(tmp_path), "--quiet", "--replay", str(failure["token"])]
    assert run([*same, "--bug", BUG]) == INVALID


def test_what_failed_is_played_first_and_forgotten_once_it_holds(found: Path) -> None:
    store = found / "store"
    kept = sorted((store / "simulations/failures").glob("*.yaml"))
    assert kept
    assert _simulate(store, "--schedules", "1", "--seed", "1", "--bug", BUG) == INVALID
    for file in kept:
        text = file.read_text(encoding="utf-8").replace(f"  bug: [{BUG}]\n", "")
        file.write_text(text, encoding="utf-8")
    before = len(kept)
    assert _simulate(store, "--schedules", str(before), "--seed", "1") in (VALID, 3)
    assert [file for file in kept if file.exists()] == []


def test_the_regression_test_fails_as_long_as_the_bug_is_there(found: Path) -> None:
    file, clean = found / "test_found.py", found / "test_clean.py"
    text = file.read_text(encoding="utf-8")
    clean.write_text(text.replace(f"  bug: [{BUG}]\n", ""), encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "-rA", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [*command, file.name, clean.name],
        cwd=found, timeout=300, check=False, capture_output=True, text=True,
    )  # fmt: skip
    ended = [line.split()[:2] for line in done.stdout.splitlines() if "::" in line]
    kinds = {(how, name.partition("::")[0]) for how, name in ended if how in ("PASSED", "FAILED")}
    assert kinds == {("FAILED", file.name), ("PASSED", clean.name)}, done.stdout


def test_the_number_of_processes_changes_nothing(tmp_path: Path) -> None:
    found = []
    for jobs in ("1", "3"):
        file = tmp_path / f"{jobs}.json"
        more = ["--schedules", "9", "--seed", "5", "--jobs", jobs, "--json", str(file)]
        run(["simulate", "--store", str(tmp_path / jobs), "--quiet", *more])
        results = json.loads(file.read_text(encoding="utf-8"))
        del results["per_minute"]
        found.append(results)
    assert found[0] == found[1]


@pytest.mark.parametrize(
    ("more", "wrong"),
    [
        (["--schedules", "0"], "--schedules"),
        (["--schedules", "1", "--time", "1s"], "--time"),
        (["--time", "soon"], "--time"),
        (["--workload", "no-such"], "--workload"),
        (["--nemesis", "no-such"], "--nemesis"),
        (["--nemesis", "no_such.py:NEMESIS"], "--nemesis"),
        (["--nemesis", f"kill,{__file__}:BUG"], "--nemesis"),
        (["--workload", "no_such.py:Workload"], "--workload"),
        (["--nemesis", "none,kill"], "--nemesis"),
        (["--bug", "no-such"], "--bug"),
        (["--bug", ""], "--bug"),
        (["--replay", "sim-abc"], "--replay"),
        (["--replay", ""], "--replay: names nothing"),
        (["--replay", "sim-abc", "--schedules", "3"], "--schedules"),
        (["--json", "/no/such/folder/file"], "--json"),
    ],
)
def test_what_makes_no_sense_is_refused(
    more: list[str], wrong: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["simulate", "--store", str(tmp_path), *more]) == USAGE
    error = capsys.readouterr().err
    assert wrong in error
    assert len(error.splitlines()) == 1


def test_an_interrupt_reports_what_has_been_played(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The verdict is then unknown, unless something failed."""
    store, file = tmp_path / "store", tmp_path / "found.json"

    def interrupt() -> None:
        while not list(store.glob("simulations/2*")):
            time.sleep(0.01)
        time.sleep(0.5)
        os.kill(os.getpid(), signal.SIGINT)

    with ThreadPoolExecutor(1) as beside:
        beside.submit(interrupt)
        code = run(["simulate", "--store", str(store), "--jobs", "1", "--plain", "--seed", "1",
                    "--json", str(file)])  # fmt: skip
    printed = capsys.readouterr().out
    assert code == UNKNOWN, printed
    assert "unknown: it was stopped before all had been played" in printed
    assert list(json.loads(file.read_text(encoding="utf-8"))) == KEYS


def test_what_was_not_shrunk_any_more_is_named(tmp_path: Path) -> None:
    """With how to play it again; nothing of what was found is lost."""
    file, store = tmp_path / "found.json", tmp_path / "store"
    asked = ["--schedules", "2", "--seed", "1000", "--bug", BUG, "--workload", "register,blind"]
    more = ["--store", str(store), "--json", str(file), "--jobs", "1", "--plain"]
    command = [sys.executable, "-um", "dynamesis.harness", "simulate", *asked, *more]
    shown: list[str] = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, encoding="utf-8") as running:
        for line in running.stdout or ():
            if line.startswith("shrinking what failed: 0 of ") and line not in shown:
                running.send_signal(signal.SIGINT)
            shown.append(line)
    assert running.returncode == INVALID
    [failure, *_] = json.loads(file.read_text(encoding="utf-8"))["failures"]
    assert list(failure) == FAILURE
    assert failure["folder"] is None
    assert failure["operations"] > 4, "as it was drawn"
    assert "  not shrunk: that was stopped before its turn\n" in shown
    assert "it was stopped before all had been played\n" not in shown
    again = f"  again   dynamesis simulate --replay {failure['token']}\n"
    assert again in shown


def test_a_second_bug_is_not_hidden_by_the_first(tmp_path: Path) -> None:
    """The first schedule that fails shows both, and shrinks to one of them; a later one shows the
    second alone."""
    file = tmp_path / "found.json"
    bugs = ("--bug", f"{BUG},aae-last-segment")
    assert _simulate(
        tmp_path / "store", "--schedules", "2", "--seed", "2", *bugs, "--json", str(file)
    ) == INVALID  # fmt: skip
    failures = json.loads(file.read_text(encoding="utf-8"))["failures"]
    assert [each["seed"] for each in failures] == [2, 2]
    assert "lost-write" in failures[0]["anomalies"]
    assert "divergence" not in failures[0]["anomalies"]
    assert "divergence" in failures[1]["anomalies"]
    assert len(list((tmp_path / "store/simulations/failures").iterdir())) == 2


def test_what_finds_nothing_names_its_seeds(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """They were drawn: nothing else would say which schedules were played."""
    asked = ["simulate", "--store", str(tmp_path), "--jobs", "1", "--plain", "--schedules", "2"]
    run(asked)
    [line] = [each for each in capsys.readouterr().out.splitlines() if each.startswith("seeds: ")]
    first, last = map(int, re.findall(r"\d+", line)[:2])
    assert last == first + 1
    assert line.endswith(f"(--seed {first} --schedules 2)")


def test_a_file_where_failures_are_kept_is_named_before_anything_is_played(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "simulations").mkdir()
    (tmp_path / "simulations" / "failures").touch()
    assert run(["simulate", "--store", str(tmp_path), "--bug", BUG, "--jobs", "1"]) == USAGE
    shown = capsys.readouterr()
    [error] = shown.err.splitlines()
    assert "--store: " in error
    assert "is not a folder" in error
    assert not shown.out


def test_what_lies_after_the_load_is_named_as_not_played(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "late.yaml"
    file.write_text(
        "test: {world: simulated, workload: register, nodes: 3, seed: 7, time_limit: 1.0}\n"
        "operations: [{at: 0.1, client: 0, get: k0}, {at: 1.7, client: 0, get: k0}]\n"
        "faults: [{start: 1.2, stop: 1.4, member: kill.all, nodes: [n1]}]\n",
        encoding="utf-8",
    )
    assert run(["simulate", "--store", str(tmp_path), "--plain", "--replay", str(file)]) == UNKNOWN
    shown = capsys.readouterr().out
    assert "not played: the get at 1.7 s: the load ends after 1 s (time_limit)\n" in shown
    assert "not played: kill.all at 1.2 s: the load ends after 1 s (time_limit)\n" in shown
    assert "at 0.1 s" not in shown


def test_a_file_that_takes_nothing_is_named_after_the_verdict(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _simulate(tmp_path, "--schedules", "1", "--seed", "1", "--json", "/dev/full") == 4
    printed = capsys.readouterr()
    assert printed.out.startswith("1 schedule, ")
    assert "--json: /dev/full was not written: No space left on device" in printed.err


def test_shrinking_is_shown_since_it_may_take_longer_than_finding(found: Path) -> None:
    shown = (found / "shown.txt").read_text(encoding="utf-8").splitlines()
    begun = shown.index(next(line for line in shown if line.startswith("shrinking what failed: 0")))
    assert begun < shown.index(next(line for line in shown if line.startswith("evidence:")))
