"""What breaks in the course of `dynamesis simulate` costs nothing of what it has found."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest
from dynamesis.harness.cli.app import run
from dynamesis.harness.simulation import exhaust as exhaust_module
from dynamesis.harness.simulation.exhaust import run_exhaust
from dynamesis.harness.simulation.schedules.words import Bounds, Word
from dynamesis.harness.simulation.swarm import Unfinished, spread
from dynamesis.harness.targets.system import EnvironmentFailed
from dynamesis.harness.usage.exits import ENVIRONMENT, INVALID, UNKNOWN, USAGE

BUG = ("--schedules", "2", "--seed", "1000", "--bug", "self-merge", "--workload", "register,blind")
#: bugs of a user's own: their code raises, ends the process, or does so after some schedules
OWN = """
import os

planted = 0

class Odd(ValueError):
    def __init__(self, one, two):
        super().__init__("odd")

def raises(node):
    raise Odd(1, 2)

def exits(node):
    raise SystemExit(0)

def raises_later(node):
    global planted
    planted += 1
    if planted > 25:
        raise ValueError("later")

def ends_later(node):
    global planted
    planted += 1
    if planted > 25:
        os._exit(3)
"""


@pytest.fixture
def own(tmp_path: Path) -> str:
    (tmp_path / "own.py").write_text(OWN, encoding="utf-8")
    return f"{tmp_path}/own.py"


def _simulate(store: Path, *more: str) -> int:
    return run(["simulate", "--store", str(store), "--plain", "--jobs", "1", *more])


def test_kept_failures_that_cannot_be_read_are_named_and_passed_over(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The run's own findings are kept beside them, although all kept ones are looked through."""
    store, file = tmp_path / "store", tmp_path / "found.json"
    failures = store / "simulations" / "failures"
    (failures / "a-folder.yaml").mkdir(parents=True)
    (failures / "no-yaml.yaml").write_bytes(b"{{{")
    (failures / "no-text.yaml").write_bytes(b"\xff")
    (failures / "older.yaml").write_bytes(b"test: {gone: 1}\nfaults: []\nanomalies: [stuck]\n")
    broken = sorted(failures.iterdir())
    assert _simulate(store, *BUG, "--json", str(file)) == INVALID
    shown = capsys.readouterr()
    assert all(f"not played again: {each}" in shown.out for each in broken)
    assert not shown.err
    assert json.loads(file.read_text(encoding="utf-8"))["failures"]
    assert len(list(failures.iterdir())) > len(broken)
    assert run(["simulate", "--store", str(store), "--jobs", "1", "--quiet", *BUG]) == INVALID
    [line] = capsys.readouterr().out.splitlines()
    assert "invalid" in line


def test_what_is_unknown_now_stays_among_the_failures(tmp_path: Path) -> None:
    assert _simulate(tmp_path, *BUG) == INVALID
    [kept, *_] = (tmp_path / "simulations" / "failures").glob("*.yaml")
    late = "tweaks: {latency: [0.0, 1000.0]}\n"  # no node boots
    kept.write_text(kept.read_text(encoding="utf-8") + late, encoding="utf-8")
    more = ("--schedules", "1", "--bug", "self-merge", "--workload", "register,blind")
    assert _simulate(tmp_path, *more) == UNKNOWN
    assert kept.exists()


def test_where_failures_cannot_be_kept_nothing_is_written(tmp_path: Path) -> None:
    (tmp_path / "simulations").mkdir()
    (tmp_path / "simulations" / "failures").touch()
    assert _simulate(tmp_path) == USAGE
    assert [path.name for path in tmp_path.rglob("*")] == ["simulations", "failures"]


@pytest.mark.parametrize("jobs", ["1", "2"])
@pytest.mark.parametrize(
    ("name", "what"), [("raises", "raised Odd: odd"), ("exits", "raised SystemExit: 0")]
)
def test_code_of_a_users_own_that_raises_is_named(
    name: str, what: str, jobs: str, own: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """In whatever process it runs; an exit by it gives no verdict."""
    more = ("--schedules", "3", "--seed", "1", "--bug", f"{own}:{name}", "--jobs", jobs)
    assert _simulate(tmp_path, *more) == USAGE
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith(f"dynamesis simulate: {name} {what} (own.py, line ")


def test_an_exit_by_code_of_a_users_own_gives_a_test_none(
    own: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    test = ["test", "--world", "simulated", "--time-limit", "1s", "--store", str(tmp_path)]
    assert run([*test, "--quiet", "--bug", f"{own}:exits"]) == USAGE
    assert "exits raised SystemExit: 0 (own.py, line " in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "jobs", "code", "line"),
    [
        ("raises_later", "1", USAGE, "raises_later raised ValueError: later"),
        ("raises_later", "2", USAGE, "raises_later raised ValueError: later"),
        ("ends_later", "2", ENVIRONMENT, "a process that plays schedules is gone"),
    ],
)
def test_what_was_played_before_it_broke_is_reported(
    name: str, jobs: str, code: int, line: str, own: str, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    file = tmp_path / "found.json"
    more = ("--seed", "1", "--bug", f"{own}:{name}", "--jobs", jobs, "--json", str(file))
    assert _simulate(tmp_path / "store", *more) == code
    shown = capsys.readouterr()
    assert line in shown.err
    assert "it was stopped before all had been played" in shown.out
    assert json.loads(file.read_text(encoding="utf-8"))["schedules"] > 0


#: tasks after the first; the process that has it has the next one too
_OTHERS, _BEHIND = 9, 1


def _held_up(task: int, folder: Path) -> int:
    """The first one takes until all others have been played, and longer."""
    if task:
        (folder / str(task)).touch()
        return task
    while len(list(folder.iterdir())) < _OTHERS - _BEHIND:
        time.sleep(0.01)
    if folder.name == "gone":
        os._exit(1)
    os.kill(os.getppid(), signal.SIGINT)
    while True:
        time.sleep(1)


@pytest.mark.parametrize(("name", "ends"), [("gone", EnvironmentFailed), ("stopped", Unfinished)])
def test_what_others_have_played_beside_what_does_not_end_is_not_lost(
    name: str, ends: type[BaseException], tmp_path: Path
) -> None:
    (tmp_path / name).mkdir()
    work, tasks = partial(_held_up, folder=tmp_path / name), range(_OTHERS + 1)
    played: list[int] = []
    with pytest.raises(ends):
        played.extend(spread(work, iter(tasks), 2, lambda: True, gaps=True))
    assert played == [*range(1 + _BEHIND, _OTHERS + 1)][: len(played)]
    assert len(played) >= _OTHERS - _BEHIND - 1, "the last may be on its way"


def _small_files() -> None:
    """No file grows beyond 20 kB, which is less than a report has."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))


@pytest.mark.parametrize("more", [BUG, ("--exhaust", "--schedules", "6", "--bug", "self-merge")])
def test_a_failure_that_the_store_does_not_take_is_reported(
    more: tuple[str, ...], tmp_path: Path
) -> None:
    file, store = tmp_path / "found.json", tmp_path / "store"
    command = ["simulate", "--store", str(store), "--jobs", "1", "--plain", "--json", str(file)]
    done = subprocess.run(
        [sys.executable, "-c", SMALL_WORDS, *command, *more],
        preexec_fn=_small_files, timeout=300, check=False, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == ENVIRONMENT, done.stderr
    [line] = done.stderr.splitlines()
    assert line.startswith("dynamesis simulate: --store: ")
    assert "let files grow" in line
    [failure, *_] = json.loads(file.read_text(encoding="utf-8"))["failures"]
    assert failure["folder"] is None
    assert failure["token"] in done.stdout


#: the command line with few words to list
SMALL_WORDS = """
import sys
from functools import partial
from dynamesis.harness.cli.app import run
from dynamesis.harness.simulation import exhaust
from dynamesis.harness.simulation.schedules.words import Bounds
exhaust.run_exhaust = partial(exhaust.run_exhaust, bounds=Bounds(1, 3))
sys.exit(run(sys.argv[1:]))
"""


@pytest.mark.parametrize(
    "more",
    [
        ["simulate", "--json", "{}", "--pytest", "{}"],
        ["simulate", "--replay", "word-p0", "--json", "{}", "--pytest", "{}"],
        ["zoo", "--simulate", "--json", "{}", "--markdown", "{}"],
        ["experiment", "staleness", "--json", "{}", "--plot", "{}"],
    ],
)
def test_two_files_of_one_name_are_refused(
    more: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    other = iter(("one.out", f"../{tmp_path.name}/one.out"))
    given = [next(other) if word == "{}" else word for word in more]
    assert run(given) == USAGE
    [line] = capsys.readouterr().err.splitlines()
    assert f"{more[-2]}: ../{tmp_path.name}/one.out is that of --json too" in line
    assert not list(tmp_path.iterdir())


def test_each_file_is_written_although_another_is_not(tmp_path: Path) -> None:
    file = tmp_path / "test_found.py"
    more = ("--schedules", "1", "--seed", "1", "--json", "/dev/full", "--pytest", str(file))
    assert _simulate(tmp_path / "store", *more) == ENVIRONMENT
    assert file.exists()


@pytest.mark.parametrize("names", ["upgrade", "cut,upgrade.one"])
def test_a_nemesis_that_no_simulated_world_has_is_refused(
    names: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Else a swarm would leave it out, in silence."""
    assert _simulate(tmp_path, "--nemesis", names, "--schedules", "3") == USAGE
    assert "--nemesis: upgrade" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_folder_without_a_load_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    test = ["test", "--world", "simulated", "--time-limit", "0.5s", "--quiet", "--seed", "1"]
    run([*test, "--store", str(tmp_path)])
    capsys.readouterr()
    (tmp_path / "latest" / "history.jsonl").write_bytes(b"")
    again = ["simulate", "--replay", str(tmp_path / "latest"), "--store", str(tmp_path / "other")]
    assert run(again) == USAGE
    assert "history.jsonl: no load began in it" in capsys.readouterr().err
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize(
    ("file", "content", "wrong"),
    [
        ("test.json", b'{"spec": []}', "no test.json with a spec"),
        ("test.json", b'{"spec": {"world": 5}}', "--world: 5 is not a name"),
        ("schedule.yaml", b"\xff", "schedule.yaml cannot be read"),
        ("schedule.yaml", b"faults: 5", "schedule.yaml, line 1: faults: should be a list"),
    ],
)
def test_a_damaged_folder_of_a_simulated_test_is_refused_by_its_file(
    file: str, content: bytes, wrong: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = {"world": "simulated", "workload": "register", "seed": 1}
    (tmp_path / "test.json").write_text(json.dumps({"name": "x", "spec": spec}), "utf-8")
    (tmp_path / "schedule.yaml").write_text("faults: []\n", "utf-8")
    load = {"index": 0, "time": 0, "type": "info", "process": "harness", "f": "phase"}
    (tmp_path / "history.jsonl").write_text(json.dumps({**load, "value": "load"}), "utf-8")
    (tmp_path / file).write_bytes(content)
    assert run(["simulate", "--replay", str(tmp_path), "--store", str(tmp_path / "s")]) == USAGE
    [line] = capsys.readouterr().err.splitlines()
    assert wrong in line


def test_seeds_are_not_for_a_zoo_of_swarms(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    zoo = ["zoo", "--simulate", "--seeds", "2", "--store", str(tmp_path), "--only", "self-merge"]
    assert run(zoo) == USAGE
    assert "--seeds; leave them out" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def _interrupted(bounds: Bounds) -> list[Word]:
    signal.raise_signal(signal.SIGINT)
    return []


def test_an_interrupt_while_words_are_listed_is_reported(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exhaust_module, "words", _interrupted)
    file = tmp_path / "found.json"
    assert _simulate(tmp_path, "--exhaust", "--json", str(file)) == UNKNOWN
    assert "unknown: it was stopped before all had been played" in capsys.readouterr().out
    assert json.loads(file.read_text(encoding="utf-8"))["schedules"] == 0


def test_words_are_listed_before_their_time_begins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed = list(exhaust_module.words(Bounds(1, 1)))

    def slowly(bounds: Bounds) -> list[Word]:
        time.sleep(1.0)
        return listed

    monkeypatch.setattr(exhaust_module, "words", slowly)
    monkeypatch.setattr(exhaust_module, "run_exhaust", partial(run_exhaust, bounds=Bounds(1, 1)))
    file = tmp_path / "found.json"
    _simulate(tmp_path, "--exhaust", "--time", "0.9s", "--json", str(file))
    assert json.loads(file.read_text(encoding="utf-8"))["schedules"] > 0
