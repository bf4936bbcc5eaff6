"""What `dynamesis hunt` refuses before anything runs."""

from __future__ import annotations

from pathlib import Path

import pytest
from dynamesis.harness.cli.app import run
from dynamesis.harness.usage.exits import ENVIRONMENT, USAGE

CAMPAIGN = """
name: mine
time_limit: 1s
matrix: {workload: register, nemesis: none, config: {name: small, nodes: 3}}
"""
WITHOUT_ITS_BUG = """
anomalies: [lost-write]
test: {workload: register, seed: 3, bug: [gone.py:Mine], time_limit: 1s, nodes: 3}
faults: []
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "mine.yaml").write_text(CAMPAIGN)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def hunt(failures: str) -> int:
    return run(["hunt", "mine.yaml", "--runs", "1", "--world", "simulated",
                "--failures", failures])  # fmt: skip


@pytest.mark.parametrize("more", ["", "world: simulated\n"])
def test_a_failure_whose_bug_is_gone_is_named(
    more: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "failures").mkdir()
    (folder / "failures/old.yaml").write_text(WITHOUT_ITS_BUG + more)
    assert hunt("failures") == USAGE
    [line] = capsys.readouterr().err.splitlines()
    assert "failures/old.yaml" in line
    assert "gone.py: no such file" in line
    assert not (folder / "store").exists()


@pytest.mark.parametrize(
    ("failures", "code"), [("mine.yaml/failures", USAGE), ("/proc/none/failures", ENVIRONMENT)]
)
def test_failures_must_have_a_place_before_the_first_is_found(
    failures: str, code: int, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert hunt(failures) == code
    [line] = capsys.readouterr().err.splitlines()
    assert f"--failures: {failures}" in line
    assert not (folder / "store").exists()


def test_a_campaign_of_which_nothing_can_be_simulated_is_refused(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A round without a test would be followed by the next without an end."""
    small = "{name: small, nodes: 3}"
    (folder / "mine.yaml").write_text(CAMPAIGN.replace(small, "{name: small, target: etcd}"))
    assert hunt("failures") == USAGE
    [line] = capsys.readouterr().err.splitlines()
    assert "--world: no test of mine can be simulated: " in line
    assert "etcd" in line
