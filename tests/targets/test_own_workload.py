"""Mistakes in a workload of a user's own: one line, with the line of the file, and no verdict."""

from __future__ import annotations

from pathlib import Path

import pytest
from dynamesis.harness.cli.app import run as command

import dynamesis
from tests.targets.mistaken import HERE, target

pytestmark = pytest.mark.cluster
WORKLOAD = """
from dynamesis.checkers.history.op import Op
from dynamesis.workloads.base import Workload
from dynamesis.workloads.script.shared import Drawn

def write(rng, number): return Op(f="write", key="k0", value=number), rng

def wrong(rng, number):
    {draw}

def shared(load): return Drawn(load.rng, wrong)

OWN = Workload(name="own", description="x", model="register", operations=("read", "write"),
               shared=shared, {more})
"""


def shown(tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, code: int) -> str:
    file = tmp_path / "own.py"
    file.write_text(text, encoding="utf-8")
    kv = target(tmp_path, "class Mine(Kv): pass\n")
    flags = [f"--target={kv}", f"--workload={file}:OWN", f"--store={tmp_path / 'store'}"]
    given = ["test", "--nemesis=none", "--links=embedded", "--time-limit=2s", "--nodes=1", *flags]
    assert command(given) == code
    return capsys.readouterr().err


@pytest.mark.parametrize(
    ("draw", "complaint"),
    [
        ("raise KeyError('oops')", "wrong raised KeyError: 'oops' (own.py, line 9)"),
        ("return nowhere", "wrong raised NameError: name 'nowhere' is not defined (own.py, line 9"),
        ("return 'write', rng", "must return an Op and the random stream: `return Op(...), rng`"),
        ("return None", "wrong returned None; it must return an Op and the random stream"),
        ("return Op(f='write', key=7, value=1), rng", "key should be a string, not 7"),
        ("return Op(f='write', key='k', value=object()), rng", "no history can hold the value"),
    ],
)
def test_a_draw_that_is_not_right(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], draw: str, complaint: str
) -> None:
    line = shown(tmp_path, capsys, WORKLOAD.format(draw=draw, more=""), 2)
    assert complaint in line
    assert len(line.splitlines()) == 1


@pytest.mark.parametrize(
    ("more", "complaint"),
    [
        ("final=lambda keys, options: 7", "final returned 7; it must return operations"),
        ("final=lambda keys, options: ['read']", "final returned ['read']; it must return"),
        ("final=lambda keys, options: 1 / 0", "raised ZeroDivisionError: division by zero (own.py"),
    ],
)
def test_final_reads_that_are_not_right(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], more: str, complaint: str
) -> None:
    line = shown(tmp_path, capsys, WORKLOAD.format(draw="return write(rng, number)", more=more), 2)
    assert complaint in line
    assert len(line.splitlines()) == 1


@pytest.mark.parametrize(
    ("check", "reason"),
    [
        ("1 / 0", "checker own crashed at own.py:14: ZeroDivisionError"),
        ("'valid'", "checker own returned 'valid'; it must return a CheckerResult"),
    ],
)
def test_a_check_that_is_not_right_makes_no_verdict(
    tmp_path: Path, check: str, reason: str
) -> None:
    file = tmp_path / "own.py"
    more = f"check=lambda run: {check}"
    file.write_text(WORKLOAD.format(draw="return write(rng, number)", more=more), encoding="utf-8")
    result = dynamesis.run_test(
        target=f"{HERE / 'kv.py'}:Kv", workload=f"{file}:OWN",
        nemesis=["none"], time_limit=2, links="embedded", nodes=1, store=tmp_path / "store",
    )  # fmt: skip
    assert result.verdict is dynamesis.Verdict.UNKNOWN
    assert reason in " ".join(result.explain().split())
