"""Cases of list-append and rw-register that were once judged wrongly, by the command itself."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.command_line import Done, command_line

CASES = Path(__file__).parent.parent / "histories" / "cases"

#: exit codes
VALID, INVALID, USAGE, UNKNOWN = 0, 1, 2, 3

WEAKER, CAUSAL = "append-weaker-cycle-asked.json", "rw-causality-violated.json"
INTERMEDIATE, REALTIME = "rw-g0-through-intermediate.json", "rw-realtime-implied.edn"


def check(path: Path, *options: str) -> Done:
    return command_line("check", path, "--verbose", *options)


@pytest.mark.parametrize(
    ("case", "options", "code", "shown"),
    [
        (WEAKER, "-m list-append -a G-single", INVALID, "G-single: 1"),
        (WEAKER, "-m list-append -a G2-item", INVALID, "G-single: 1"),
        (WEAKER, "-m list-append -a G0", INVALID, "G0: 1"),
        (CAUSAL, "-m rw-register -c causal-cerone", INVALID, "key 'x' was nil before 1"),
        (CAUSAL, "-m rw-register -c prefix", INVALID, "key 'x' was nil before 1"),
        (CAUSAL, "-m rw-register -c parallel-snapshot-isolation", INVALID, "G-single"),
        (CAUSAL, "-m rw-register -c read-atomic", VALID, "valid"),
        (CAUSAL, "-m rw-register -c monotonic-view", USAGE, ""),
        (INTERMEDIATE, "-m rw-register --assume linearizable -c read-uncommitted", VALID, ""),
        (INTERMEDIATE, "-m rw-register --assume linearizable -c read-committed", INVALID, "G1b"),
        (REALTIME, "-m rw-register", INVALID, "-realtime: 1"),
        (REALTIME, "-m rw-register -c strong-session-serializable", VALID, ""),
        (REALTIME, "-m rw-register -c serializable", UNKNOWN, "versions of key"),
    ],
)
def test_case(case: str, options: str, code: int, shown: str) -> None:
    done = check(CASES / case, *options.split())
    assert (done.returncode, shown in done.stdout) == (code, True), done


def test_a_model_that_cannot_be_judged_is_named() -> None:
    done = check(CASES / CAUSAL, "-m", "rw-register", "-c", "monotonic-view")
    assert "monotonic-view" in done.stderr
    assert "G-monotonic" in done.stderr


@pytest.mark.parametrize("size", [2100, 10_000])
def test_a_lone_g_single_in_a_ring_of_antidependencies(tmp_path: Path, size: int) -> None:
    ring = tmp_path / "ring.json"
    with ring.open("w") as file:
        script = CASES / "ring_of_antidependencies.py"
        subprocess.run([sys.executable, script, str(size)], stdout=file, check=True)
    done = check(ring, "-m", "list-append", "-c", "consistent-view")
    assert (done.returncode, "G-single: 1" in done.stdout) == (INVALID, True)
