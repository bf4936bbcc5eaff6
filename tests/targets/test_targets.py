"""A store of a user's own, from its target to its verdict: real processes, behind real links."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from dynamesis.harness.cli.app import run as command
from dynamesis.harness.targets.registry import TARGETS, load_target
from dynamesis.harness.targets.target import CAPABILITIES
from dynamesis.harness.usage.catalogue import catalogue

import dynamesis
from tests.enough import run_enough

HERE = Path(__file__).parent
KV = f"{HERE / 'kv.py'}:Kv"


def run(tmp_path: Path, nemesis: str | None, **options: Any) -> dynamesis.TestResult:
    given = {"target": KV, "workload": "register", "time_limit": 5, "seed": 7, "links": "embedded"}
    return run_enough(tmp_path, nemesis=nemesis, **{**given, **options})


def events(result: dynamesis.TestResult, f: str) -> list[Any]:
    lines = (result.folder / "history.jsonl").read_text().splitlines()
    return [event["value"] for event in map(json.loads, lines) if event["f"] == f]


@pytest.mark.cluster
@pytest.mark.parametrize("links", ["embedded", "toxiproxy"])
def test_kills_pauses_and_cuts_take_effect(tmp_path: Path, links: str) -> None:
    result = run(tmp_path, "kill.one,pause.one,cut.one", links=links, time_limit=8)
    assert result.verdict is dynamesis.Verdict.VALID, result.explain()
    kinds = {fault["kind"] for fault in result.results["evidence"]["faults"]}
    assert kinds == {"kill.one", "pause.one", "cut.one"}
    took = {fault["kind"] for fault in result.results["evidence"]["faults"] if fault["took_effect"]}
    assert took == kinds
    assert events(result, "quiesce") == [
        {"quiet": True, "seconds": 0.2, "waiting": {}, "waited": 0.2}
    ]
    logs = {path.parent.name for path in result.folder.glob("nodes/*/output.log")}
    assert logs == {"n1", "n2", "n3"}


@pytest.mark.cluster
def test_what_the_target_cannot_do_is_left_out_and_named(tmp_path: Path) -> None:
    result = run(tmp_path, "storm", time_limit=6)
    skipped = result.results["skipped"]
    able = {"cuts", "isolations", "kill", "pause", "stop"}
    assert set(skipped) == set(CAPABILITIES) - able - {"versions"}
    assert "wait" in skipped["quiet"]
    starts = (result.folder / "schedule.yaml").read_text()
    assert not any(f"member: {family}" in starts for family in ("wipe", "disk", "clock", "load"))
    again = dynamesis.check(result.folder)
    assert again.verdict is result.verdict


WIPING = """
from dynamesis import Op
from kv import Kv

class Wiping(Kv):
    name = "wiping"
    wipes = True

    async def at_rest(self, site):
        return True
"""


@pytest.mark.cluster
def test_a_wipe_loses_what_one_node_holds(tmp_path: Path) -> None:
    """All that is written is on n1 alone, and n1 is the one that forgets."""
    mine = HERE / "kv.py"
    file = tmp_path / "wiping.py"
    file.write_text(f"import sys; sys.path.append({str(mine.parent)!r})\n{WIPING}")
    schedule = tmp_path / "faults.yaml"
    schedule.write_text("faults:\n- {start: 1.5, stop: 2.0, member: wipe.one, nodes: [n1]}\n")
    lost = run(tmp_path, None, target=f"{file}:Wiping", schedule=schedule, keys=2, time_limit=3)
    assert events(lost, "start-wipe")[-1]["nodes"] == ["n1"]
    assert lost.verdict is dynamesis.Verdict.INVALID, lost.explain()
    assert "quiet" not in lost.results["skipped"]


@pytest.mark.cluster
def test_clients_in_processes_of_their_own(tmp_path: Path) -> None:
    result = run(tmp_path, "none", drivers=2, time_limit=3)
    assert result.verdict is dynamesis.Verdict.VALID, result.explain()


@pytest.mark.cluster
def test_a_workload_and_a_model_of_ones_own(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(
        "from dynamesis import CheckerResult, History, Verdict\n"
        "def all_good(history: History) -> CheckerResult:\n"
        "    return CheckerResult(Verdict.VALID, details={'events': len(history)})\n"
    )
    result = run(tmp_path, "none", workload=f"{HERE / 'plain.py'}:PLAIN", model=f"{file}:all_good",
                 time_limit=3)  # fmt: skip
    assert result.verdict is dynamesis.Verdict.VALID, result.explain()
    assert result.results["checkers"]["all_good"]["valid"] is True
    assert dynamesis.check(result.folder).verdict is dynamesis.Verdict.VALID


def target(tmp_path: Path, body: str) -> str:
    file = tmp_path / "mine.py"
    file.write_text(
        f"import sys; sys.path.append({str(HERE)!r})\n"
        "from kv import Kv, Command\nfrom dynamesis import Target\n" + body
    )
    return f"{file}:Mine"


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        ("class Other(Kv): pass\n", "'Mine' is not there; of a Target there are: Other"),
        ("Mine = 3\n", "'Mine' is not a Target"),
        ("1 / 0\n", "line 4: ZeroDivisionError: division by zero"),
        ("raise SystemExit(0)\n", "SystemExit"),
        ("class Mine(Kv):\n    def __init__(self): 1 / 0\n", "cannot be made: ZeroDivisionError"),
    ],
)
def test_a_target_that_cannot_be_loaded(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], body: str, complaint: str
) -> None:
    spec = target(tmp_path, body)
    assert command(["test", f"--target={spec}", f"--store={tmp_path}"]) == 2
    shown = capsys.readouterr().err
    assert complaint in shown
    assert len(shown.splitlines()) == 1


@pytest.mark.parametrize(
    ("flags", "complaint"),
    [
        (["--target=redsi"], "there is no 'redsi'"),
        (["--target=nowhere/mine.py:Mine"], "nowhere/mine.py: no such file"),
        ([f"--target={KV}", "--nemesis=clock"], "which target kv does not have; it has: "),
        ([f"--target={KV}", "--workload=cart"], "target kv does not speak cart; it speaks:"),
        ([f"--target={KV}", "--workload=nothing"], "there is no 'nothing'; target kv speaks:"),
        ([f"--target={KV}", "--w=1"], "--w: only target dynamo has it, not kv"),
        ([f"--target={KV}", "--bin=/bin/true"], "--bin: target kv takes none"),
        ([f"--target={KV}", "--target-option=x=1"], "has no option 'x': it has sync"),
        ([f"--target={KV}", "--target-option=sync=maybe"], "there is no 'maybe'; allowed: yes, no"),
        ([f"--target={KV}", "--target-option=sync"], "is not NAME=VALUE"),
        ([f"--target={KV}", "--model=nothing"], "there is no 'nothing'; allowed: FILE.py:NAME"),
    ],
)
def test_what_makes_no_sense_is_refused_before_anything_starts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], flags: list[str], complaint: str
) -> None:
    assert command(["test", f"--store={tmp_path}", *flags]) == 2
    assert complaint in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.cluster
@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        ("class Mine(Kv):\n    more = ('--crash', 'no more memory today')\n",
         "no more memory today"),
        ("class Mine(Kv):\n    boot_limit = 0.5\n    async def ready(self, node, site):\n"
         "        return False\n", "was not ready within 0.5 s"),
        ("class Mine(Kv):\n    programs = ('no-such-store',)\n    install = 'apt install it'\n",
         "needs no-such-store, which is not on the PATH; apt install it"),
        ("class Mine(Kv):\n    def command(self, node, site):\n"
         "        return Command(['/no/such/store'])\n", "/no/such/store is not there"),
    ],
)  # fmt: skip
def test_a_store_that_does_not_come_up(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], body: str, complaint: str
) -> None:
    flags = [f"--target={target(tmp_path, body)}", f"--store={tmp_path / 'store'}", "--nodes=1"]
    assert command(["test", "--nemesis=none", "--links=embedded", *flags]) == 4
    shown = capsys.readouterr().err
    assert complaint in shown
    assert len(shown.splitlines()) == 1


NEMESIS = """
from dynamesis.harness.nemesis.faults import KillFault
from dynamesis.harness.nemesis.packages import Member

FIRST = Member("kill.first", "n1", lambda rng, _: ([KillFault(nodes=["n1"])], rng))
"""


@pytest.mark.cluster
def test_a_nemesis_of_ones_own(tmp_path: Path) -> None:
    file = tmp_path / "nemesis.py"
    file.write_text(NEMESIS)
    result = run(tmp_path, f"{file}:FIRST", time_limit=3)
    assert {start["member"] for start in events(result, "start-kill")} == {"kill.first"}


@pytest.mark.cluster
def test_no_process_of_a_store_outlives_a_killed_harness(tmp_path: Path) -> None:
    argv = [sys.executable, "-m", "dynamesis.harness", "test", f"--target={KV}"]
    flags = [f"--store={tmp_path}", "--nemesis=none", "--links=embedded", "--time-limit=60s"]
    harness = subprocess.Popen([*argv, *flags], stdout=subprocess.PIPE, text=True)
    assert harness.stdout is not None
    for line in harness.stdout:
        if line.startswith("load"):
            break
    ours = {
        pid for pid, line in processes().items() if "kv_server" in line and str(tmp_path) in line
    }
    assert len(ours) == 3
    harness.kill()
    harness.wait()
    while ours & set(processes()):
        pass


def processes() -> dict[int, str]:
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                found[int(entry.name)] = (entry / "cmdline").read_text().replace("\0", " ")
            except OSError:
                continue
    return {pid: line for pid, line in found.items() if line and os.path.exists(f"/proc/{pid}")}


def test_every_target_of_the_table_is_one_and_is_listed() -> None:
    listed = [name for name, _ in catalogue()["targets"] if not name.startswith(" ")]
    assert listed == list(TARGETS)
    for name in TARGETS:
        found = load_target(name)
        assert found.name == name
        assert found.able <= set(CAPABILITIES)
        assert found.able >= {"kill", "pause"} or name == "adopt", "its file decides"
        assert found.description
