"""Targets that are wrong: a file with the class Mine, and what a test of it prints."""

from __future__ import annotations

from pathlib import Path

import pytest
from dynamesis.harness.cli.app import run as command
from dynamesis.harness.processes import loop_guard

HERE = Path(__file__).parent
BEGIN = f"""
import sys
sys.path.insert(0, {str(HERE)!r})
from dynamesis import Target
from dynamesis.targets import BlockingClient, Command, ok
from kv import Kv, KvClient
"""


def notice_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Code that blocks the event loop is interrupted after 1 s, not 5."""
    monkeypatch.setattr(loop_guard, "FIRST", 1.0)


def target(tmp_path: Path, body: str) -> str:
    file = tmp_path / "mine.py"
    file.write_text(BEGIN + body, encoding="utf-8")
    return f"{file}:Mine"


def refused(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    body: str,
    code: int = 2,
    more: tuple[str, ...] = ("--nodes=1",),
) -> str:
    """The one line on standard error of a test of this target, which ends with this exit code.
    One node makes the mistake as well as three, and it is always the first that makes it."""
    flags = [f"--target={target(tmp_path, body)}", f"--store={tmp_path / 'store'}", *more]
    assert command(["test", "--nemesis=none", "--links=embedded", *flags]) == code
    shown = capsys.readouterr().err
    assert len(shown.splitlines()) == 1
    return shown
