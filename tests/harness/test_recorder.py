"""A history that cannot grow any more stays one that can be read."""

from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path

import pytest
from dynamesis.checkers.formats.io import read_any
from dynamesis.harness.processes.limits import files_of, require, require_space, shortage
from dynamesis.harness.targets.system import EnvironmentFailed

#: Records until the file may not grow, and then once more.
PROGRAM = """
import resource, sys
from pathlib import Path
from dynamesis.harness.run.recorder import Recorder
from dynamesis.harness.targets.system import EnvironmentFailed
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), int(sys.argv[2])))
with Recorder(Path(sys.argv[1])) as recorder:
    for _ in range(2):
        try:
            while True:
                recorder.note("remark", "load" * 7)
        except EnvironmentFailed as failure:
            print(failure)
"""


@pytest.mark.parametrize("size", [4096, 4097, 4130, 5000])
def test_what_is_kept_are_whole_lines(tmp_path: Path, size: int) -> None:
    path = tmp_path / "history.jsonl"
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(path), str(size)],
        capture_output=True,
        text=True,
        check=True,
    )
    first, second = done.stdout.splitlines()
    assert first == second
    assert f"{path} takes no more events" in first
    assert "ulimit -f" in first
    assert path.read_bytes().endswith(b"}\n")
    assert len(read_any(path)) > 10


def test_limits_are_reported_before_anything_is_started() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (100, hard))
        require(200)
        assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] >= 200, "what is allowed is taken"
        if hard != resource.RLIM_INFINITY:
            with pytest.raises(EnvironmentFailed, match=r"ulimit -n"):
                require(hard + 1)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert files_of(5, 10) < 256, "a test as it comes needs no more than the smallest default"


def test_a_disk_with_room_will_do(tmp_path: Path) -> None:
    require_space(tmp_path)


def test_what_a_shortage_comes_from_is_found() -> None:
    full = OSError(28, "No space left on device", "some/file")
    assert shortage(full) == (
        "some/file: No space left on device: free some space, or choose another folder"
    )
    assert shortage(ExceptionGroup("tasks", [ValueError(), full])) == shortage(full)
    assert shortage(FileNotFoundError(2, "gone")) is None
    assert shortage(KeyError("a defect")) is None
