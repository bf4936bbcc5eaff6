"""Files of failures: whole whatever happens, one a bug, and errors by file and line."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from dynamesis.harness.cli.app import run
from dynamesis.harness.failures.failure import Failure, faults_alone, read
from dynamesis.harness.failures.fingerprint import Fingerprint, Symptom
from dynamesis.harness.failures.folder import FailureFolder
from dynamesis.harness.failures.interval import Rate
from dynamesis.harness.failures.schedules import schedule_of
from dynamesis.harness.usage.exits import USAGE, VALID
from dynamesis.harness.worlds.test_spec import TestSpec

SYMPTOM = Symptom("lost-write", "# was acknowledged at # by #")
SHOWN = Fingerprint(("lost-write",), frozenset({SYMPTOM}), SYMPTOM)
FAILURE = Failure(
    name=SHOWN.name,
    anomalies=("lost-write",),
    symptoms=SHOWN.symptoms,
    test=TestSpec(
        workload="register", nemesis=("kill.one",), seed=7, time_limit=2.5, bug=("self-merge",),
        strict=True, param=("zones={n1: a, n2: b}",),
    ),
    faults=({"start": 0.5, "stop": 2.5, "member": "kill.one", "nodes": ["n2"]},),
    why="3.12 was acknowledged at 1.5 s; \u201cno\u201d read: ever # showed it.",
    found="2026-11-27",
    version="0.2.0",
    rate=Rate(4, 5),
)  # fmt: skip


def test_a_file_holds_all_that_a_failure_is(tmp_path: Path) -> None:
    folder = FailureFolder(tmp_path / "failures")
    folder.strike(FAILURE, SHOWN)
    assert folder.all() == [FAILURE]
    text = folder.file(FAILURE.name).read_text()
    assert len(text.splitlines()) < 30
    assert f"dynamesis replay failures/{FAILURE.name}.yaml" in text


def test_what_strikes_again_is_counted_and_nothing_else_changes(tmp_path: Path) -> None:
    folder = FailureFolder(tmp_path)
    folder.strike(FAILURE, SHOWN)
    before = folder.file(FAILURE.name).read_text()
    kept, new = folder.strike(replace(FAILURE, test=TestSpec(seed=8)), SHOWN)
    assert (kept.struck, new) == (2, False)
    assert folder.file(FAILURE.name).read_text() == before.replace("struck: 1", "struck: 2")
    folder.update(kept)
    assert folder.file(FAILURE.name).read_text() == before.replace("struck: 1", "struck: 2")


def test_a_new_bug_whose_name_is_taken_gets_one_of_its_own(tmp_path: Path) -> None:
    folder = FailureFolder(tmp_path)
    folder.strike(replace(FAILURE, symptoms=frozenset()), SHOWN)
    kept, new = folder.strike(FAILURE, SHOWN)
    assert new
    assert kept.name == f"{FAILURE.name}-2"


def _strike(path: Path, times: int) -> None:
    for _ in range(times):
        FailureFolder(path).strike(FAILURE, SHOWN)


def test_two_hunts_count_in_one_folder(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    hunts = [context.Process(target=_strike, args=(tmp_path, 25)) for _ in range(4)]
    for each in hunts:
        each.start()
    for each in hunts:
        each.join()
    [failure] = FailureFolder(tmp_path).all()
    assert failure.struck == 100


def test_a_kill_leaves_whole_files_and_the_next_hunt_clears_what_lies_about(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    for number in range(10):
        hunt = context.Process(target=_strike, args=(tmp_path, 10**6))
        hunt.start()
        deadline = time.monotonic() + 30
        while not list(tmp_path.glob("*.yaml")) and time.monotonic() < deadline:
            time.sleep(0.001)
        time.sleep(0.003 * number)  # at another moment each time; whichever it is
        assert hunt.pid is not None
        os.kill(hunt.pid, signal.SIGKILL)
        hunt.join()
        [failure] = FailureFolder(tmp_path).all()
        assert failure.struck >= 1
    (tmp_path / f".{FAILURE.name}.yaml.99999").write_text("half")
    FailureFolder(tmp_path).strike(FAILURE, SHOWN)
    assert [path.name for path in tmp_path.iterdir()] == [f"{FAILURE.name}.yaml"]


def test_different_bugs_of_two_branches_merge(tmp_path: Path) -> None:
    def git(*arguments: str) -> None:
        author = ("-c", "user.name=t", "-c", "user.email=t@example.org")
        subprocess.run(["git", *author, *arguments], cwd=tmp_path, check=True, capture_output=True)

    folder = FailureFolder(tmp_path / "failures")
    git("init", "-q", "-b", "main")
    folder.strike(FAILURE, SHOWN)
    git("add", ".")
    git("commit", "-qm", "one")
    for branch in ("left", "right"):
        git("checkout", "-q", "-b", branch, "main")
        symptom = Symptom("divergence", branch)
        shown = Fingerprint(("divergence",), frozenset({symptom}), symptom)
        other = replace(
            FAILURE, name=shown.name, anomalies=shown.anomalies, symptoms=shown.symptoms
        )
        folder.strike(other, shown)
        git("add", ".")
        git("commit", "-qm", branch)
    git("merge", "-q", "left")
    assert len(folder.all()) == 3


def test_what_another_hunt_counted_or_deleted_stays(tmp_path: Path) -> None:
    folder = FailureFolder(tmp_path)
    mine, _ = folder.strike(FAILURE, SHOWN)
    folder.strike(FAILURE, SHOWN)
    assert folder.rated(mine, Rate(1, 9)).struck == 2
    folder.file(mine.name).unlink()
    folder.rated(mine, Rate(2, 9))
    assert folder.all() == []


GOOD = "anomalies: [lost-write]\ntest: {workload: register, seed: 3}\nfaults: []\n"
BAD: list[tuple[str, str, str]] = [
    ("", "", "empty"),
    ("anomalies: [a\n", "line 2", "not YAML"),
    ("- 1\n", "line 1", "should be a mapping"),
    (GOOD + "colour: red\n", "line 4", "colour"),
    (GOOD + "struck: many\n", "line 4", "struck"),
    (GOOD + "rate: {failed: 6, runs: 5}\n", "line 4", "failed"),
    (GOOD + "rate: {failed: 6}\n", "line 4", "runs"),
    (GOOD + "world: mars\n", "line 4", "simulated"),
    (GOOD + "found: {on: yesterday}\n", "line 4", "2026-11-27"),
    (GOOD + "symptoms: [1]\n", "line 4", "symptoms"),
    (GOOD.replace("seed: 3", "seed: x"), "line 2", "integer"),
    (GOOD.replace(", seed: 3", ""), "line 2", "seed"),
    (GOOD.replace("seed: 3", "seed: 3, speed: 2"), "line 2", "speed"),
    (GOOD.replace("[lost-write]", "[]"), "line 1", "anomalies"),
    (GOOD.replace("faults: []\n", ""), "line 1", "faults"),
    (GOOD.replace("faults: []", "faults: [1]"), "line 3", "fault"),
    ("anomalies: [x]\n<<<<<<< HEAD\nstruck: 2\n=======\nstruck: 3\n>>>>>>> a\n", "line 2", "git"),
    # these are found when the test is planned
    (GOOD.replace("register", "registre"), "", "register"),
    (GOOD.replace("[]", "\n- {start: 0.5, member: kill.one, nodes: [n9]}"), "line 4", "n9"),
    (GOOD.replace("[]", "\n- {start: 0.5, member: kill.won}"), "line 4", "kill.won"),
]


@pytest.mark.parametrize(("text", "line", "what"), BAD, ids=str)
def test_a_file_that_cannot_be_used_is_named(
    tmp_path: Path, text: str, line: str, what: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "bad.yaml").write_text(text or "\n")
    assert run(["replay", str(tmp_path), "--store", str(tmp_path / "store")]) == USAGE
    shown = capsys.readouterr().err
    assert str(tmp_path / "bad.yaml") in shown
    assert line in shown
    assert what in shown
    assert len(shown.splitlines()) == 1
    assert not (tmp_path / "store").exists()


def test_a_folder_without_failures_passes_and_one_that_is_not_there_does_not(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["replay", str(tmp_path)]) == VALID
    assert run(["replay", str(tmp_path / "failurs")]) == USAGE
    assert "failurs" in capsys.readouterr().err


def test_faults_keep_their_lines() -> None:
    text = "anomalies: [x]\n# why\nfaults:\n- {start: 1.0,\n   member: kill.one}\nstruck: 1\n"
    schedule = faults_alone(text)
    assert schedule.splitlines()[:5] == ["", "", *text.splitlines()[2:5]]
    assert "struck" not in schedule


def test_a_file_without_what_hunts_add_is_enough() -> None:
    failure = read(GOOD, "mine", "mine.yaml")
    assert (failure.struck, failure.rate, failure.world) == (1, None, "processes")


def test_faults_of_the_simulated_world_alone_are_read_in_it(tmp_path: Path) -> None:
    fields = "start: 0.5, stop: 1.0, member: link.lossy, kind: frames, with: {drop: 25}"
    simulated = GOOD.replace("[]", f"\n- {{{fields}, links: [n1-n2]}}") + "world: simulated\n"
    (tmp_path / "mine.yaml").write_text(simulated)
    [failure] = FailureFolder(tmp_path).all()
    assert [
        event.value["kind"] for event in schedule_of(failure).faults if "kind" in event.value
    ] == ["frames"]


@pytest.mark.parametrize(
    ("failed", "runs", "low", "high"),
    [(0, 5, 0.0, 0.4345), (5, 5, 0.5655, 1.0), (4, 5, 0.3755, 0.9638), (1, 10, 0.0179, 0.4042)],
)
def test_the_interval_is_wilsons(failed: int, runs: int, low: float, high: float) -> None:
    """Against the values that statsmodels and R's binom package give."""
    assert Rate(failed, runs).interval == pytest.approx((low, high), abs=1e-4)


def test_after_no_run_nothing_is_known() -> None:
    rate: Any = Rate(0, 0)
    assert rate.interval == (0.0, 1.0)
