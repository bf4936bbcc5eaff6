"""Stores that come from Maven and npm: found, or an error that has the command."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from dynamesis.harness.cli.app import run
from dynamesis.harness.targets.provision import provided
from dynamesis.harness.targets.system import EnvironmentFailed


def find() -> Path:
    return provided("mine", "DYNAMESIS_MINE", "mine-1", "lib/mine-*.jar", "fetch --into FOLDER")


def filled(folder: Path) -> Path:
    (folder / "lib").mkdir(parents=True)
    (folder / "lib/mine-2.jar").touch()
    return folder.resolve()


def test_the_variable_comes_before_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("DYNAMESIS_MINE", raising=False)
    cached, own = filled(tmp_path / "dynamesis/mine-1"), filled(tmp_path / "own")
    assert find() == cached
    monkeypatch.setenv("DYNAMESIS_MINE", str(own))
    assert find() == own


def test_a_variable_that_names_nothing_is_not_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("DYNAMESIS_MINE", str(tmp_path / "nothing"))
    filled(tmp_path / "dynamesis/mine-1")
    with pytest.raises(EnvironmentFailed, match=r"lib/mine-\*\.jar in \$DYNAMESIS_MINE: .*nothing"):
        find()


@pytest.mark.parametrize(
    ("target", "program", "command"),
    [
        ("pouchdb", "node", "npm install --prefix {cache}/pouchdb pouchdb-server@4 pouchdb-core@7"),
        ("cassandra", "java", "python -m dynamesis.harness.targets.cassandra.fetch"),
    ],
)
def test_what_is_missing_is_one_line_with_the_command(
    target: str,
    program: str,
    command: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not on this machine")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv(f"DYNAMESIS_{target.upper()}", raising=False)
    assert run(["test", f"--target={target}", f"--store={tmp_path}/store"]) == 4
    errors = [line for line in capfd.readouterr().err.splitlines() if line.startswith("dynamesis")]
    assert len(errors) == 1
    assert command.format(cache=tmp_path / "dynamesis") in errors[0]
