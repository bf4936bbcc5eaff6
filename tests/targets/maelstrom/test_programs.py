"""Small programs of every workload, right and wrong: real processes, behind links of messages."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import yaml
from dynamesis.harness.cli.app import run as main

import dynamesis
from tests.enough import run_enough

HERE = Path(__file__).parent
#: workload -> its program
PROGRAMS = {
    "echo": "echo.py",
    "unique-ids": "unique_ids.py",
    "broadcast": "gossip_set.py",
    "g-set": "gossip_set.py",
    "g-counter": "counter.py",
    "pn-counter": "counter.py",
    "lin-kv": "lin_kv.py",
    "txn-list-append": "txn.py",
    "txn-rw-register": "txn.py",
}
#: workload -> anomalies of which its wrong program shows at least one
WRONG = {
    "echo": {"wrong-echo"},
    "unique-ids": {"duplicate-ids"},
    "broadcast": {"lost-element"},
    "g-set": {"lost-element"},
    "g-counter": {"out-of-bounds"},
    "pn-counter": {"out-of-bounds"},
    "lin-kv": {"nonlinearizable"},
    "txn-list-append": {"lost-update", "incompatible-order"},
    # by which keys the transactions meet on, and whether another one came between: a state that is
    # written over takes back what transactions had read or written
    "txn-rw-register": {
        "lost-update",
        "G-single-item",
        "G2-item",
        "G0-process",
        "G0-realtime",
        "G1c-process",
        "G-single-process",
    },
}

pytestmark = pytest.mark.cluster


def command(program: str) -> str:
    return f"{sys.executable} -S {HERE / program}"


def run(tmp_path: Path, workload: str, program: str, **options: Any) -> dynamesis.TestResult:
    given = {"nemesis": "cut", "time_limit": 4, "seed": 11}
    return run_enough(
        tmp_path, target="maelstrom", bin=program, workload=workload, **{**given, **options}
    )


def events(result: dynamesis.TestResult, f: str) -> list[dict[str, Any]]:
    lines = (result.folder / "history.jsonl").read_text().splitlines()
    return [event for event in map(json.loads, lines) if event["f"] == f]


def _one_of_a_program(workloads: Iterable[str]) -> list[Any]:
    """All workloads: of those that run the same program, in CI the last."""
    last = {PROGRAMS[workload]: workload for workload in workloads}.values()
    return [
        pytest.param(each, marks=() if each in last else pytest.mark.nightly) for each in workloads
    ]


@pytest.mark.parametrize("workload", _one_of_a_program(PROGRAMS))
def test_a_right_program_is_valid_under_cuts(tmp_path: Path, workload: str) -> None:
    result = run(tmp_path, workload, command(PROGRAMS[workload]))
    assert result.verdict is dynamesis.Verdict.VALID, result.explain()
    proofs = [event["value"] for event in events(result, "evidence")]
    assert all(proof["bit"] for proof in proofs)
    assert len(proofs) >= 2


@pytest.mark.parametrize("workload", _one_of_a_program(WRONG))
def test_a_wrong_program_is_found_by_its_model(tmp_path: Path, workload: str) -> None:
    result = run(tmp_path, workload, f"{command(PROGRAMS[workload])} --wrong")
    assert result.verdict is dynamesis.Verdict.INVALID, result.explain()
    assert WRONG[workload] & set(result.results["anomalies"])


def test_sequential_consistency_is_not_enough_for_lin_kv(tmp_path: Path) -> None:
    result = run(tmp_path, "lin-kv", f"{command('lin_kv.py')} --stale")
    assert "nonlinearizable" in result.results["anomalies"], result.explain()


@pytest.mark.parametrize(
    "member",
    [
        "lossy",
        "duplicate",
        *(pytest.param(each, marks=pytest.mark.nightly) for each in ("reorder", "slow", "stall")),
    ],
)
def test_messages_that_are_lost_doubled_and_late(tmp_path: Path, member: str) -> None:
    """A set that is gossiped is right whatever happens to messages."""
    result = run(tmp_path, "g-set", command("gossip_set.py"), nemesis=f"link.{member}")
    assert result.verdict is dynamesis.Verdict.VALID, result.explain()


def test_kills_and_pauses_of_a_program_that_keeps_its_data(tmp_path: Path) -> None:
    """It is started in its folder again, and gets init and topology again."""
    result = run(
        tmp_path,
        "broadcast",
        f"{command('gossip_set.py')} --disk",
        nemesis="kill.one,pause.one",
        target_option=["disk=yes", "topology=line"],
        time_limit=6,
    )
    assert result.verdict is dynamesis.Verdict.VALID, result.explain()
    kinds = {fault["kind"].partition(".")[0] for fault in result.results["evidence"]["faults"]}
    assert kinds == {"kill", "pause"}


def test_every_node_is_read_in_the_end(tmp_path: Path) -> None:
    result = run(tmp_path, "g-set", command("gossip_set.py"), nodes=5, concurrency=2)
    assert result.verdict is dynamesis.Verdict.VALID, result.explain()
    [final] = [e["index"] for e in events(result, "phase") if e["value"] == "final"]
    reads = [e for e in events(result, "read") if e["index"] > final and e["type"] == "ok"]
    assert {read["node"] for read in reads} == {"n1", "n2", "n3", "n4", "n5"}


def test_latency_between_nodes(tmp_path: Path) -> None:
    """lin-kv is two messages away from its service: a request takes at least twice the latency."""
    result = run(
        tmp_path,
        "lin-kv",
        command("lin_kv.py"),
        nemesis="none",
        target_option=["latency=40", "latency-dist=constant"],
    )
    assert result.verdict is dynamesis.Verdict.VALID, result.explain()
    asked: dict[Any, int] = {}
    took = []
    for event in events(result, "write"):
        if event["type"] == "invoke":
            asked[event["process"]] = event["time"]
        elif event["type"] == "ok":
            took.append(event["time"] - asked[event["process"]])
    assert min(took) >= 80_000_000


@pytest.mark.skipif(shutil.which("node") is None, reason="needs node, which is not on the PATH")
def test_a_program_in_another_language(tmp_path: Path) -> None:
    result = run(tmp_path, "echo", str(HERE / "echo.js"), nemesis="pause.one")
    assert result.verdict is dynamesis.Verdict.VALID, result.explain()


@pytest.mark.parametrize(
    ("what", "shown"),
    [
        ("garbage", "'hello, world': it is not JSON"),
        pytest.param("bytes", "it is not JSON", marks=pytest.mark.nightly),
        pytest.param("list", "it is not an object", marks=pytest.mark.nightly),
        pytest.param("src", 'right is "n2"', marks=pytest.mark.nightly),
        ("dest", '"n9", which is unknown'),
        pytest.param("body", 'its field "body" is not an object', marks=pytest.mark.nightly),
        ("huge", "longer than 16 MiB"),
        ("field", 'right is that the field "echo" is there'),
        pytest.param("type", 'right is that type is "echo_ok"', marks=pytest.mark.nightly),
    ],
)
def test_anything_else_than_a_message_ends_a_program_and_the_verdict_has_the_reason(
    tmp_path: Path, what: str, shown: str
) -> None:
    result = run(tmp_path, "echo", f"{command('bad.py')} {what}", nemesis="none", time_limit=2)
    assert result.verdict is dynamesis.Verdict.INVALID
    assert result.anomalies == {"crash": 1}
    assert "n2 ended by an error of its own" in result.explain()
    assert shown in result.explain()


def test_a_program_that_exits_is_named(tmp_path: Path) -> None:
    result = dynamesis.run_test(
        target="maelstrom", bin=f"{command('bad.py')} exit", workload="echo", nemesis="none",
        time_limit=2, seed=11, store=tmp_path,
    )  # fmt: skip
    assert result.verdict is dynamesis.Verdict.UNKNOWN
    assert "n2 was found dead" in result.explain()


@pytest.mark.parametrize(
    ("what", "shown"),
    [
        ("boot", "printed on stdout 'starting up': it is not JSON"),
        ("exit-at-init", "no luck today"),
        ("refuse-init", "right is type 'init_ok'"),
    ],
)
def test_a_program_that_does_not_come_up(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], what: str, shown: str
) -> None:
    program = f"{command('bad.py')} {what}"
    flags = ["--workload=echo", "--nemesis=none", f"--store={tmp_path}"]
    assert main(["test", "--target=maelstrom", f"--bin={program}", *flags]) == 4
    assert shown in capsys.readouterr().err


@pytest.mark.parametrize(
    ("flags", "code", "shown"),
    [
        ([], 2, "needs the program to test"),
        (["--bin=./nothing"], 4, "./nothing is not there"),
        ([f"--bin={HERE / 'echo.py'}"], 4, "is not executable"),
        (["--bin=python3 'x"], 2, "is not a command line"),
        (["--bin=true", "--links=embedded"], 2, "use messages"),
        (["--bin=true", "--target-option=latency=soon"], 2, "is not a number from 0 to 60000"),
        (["--bin=true", "--nemesis=clock"], 2, "clocks"),
        (["--bin=true", "--workload=bank"], 2, "does not speak bank"),
    ],
)
def test_wrong_usage(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], flags: list[str], code: int, shown: str
) -> None:
    given = [f"--store={tmp_path}", "--time-limit=1s"]
    if not any(flag.startswith("--workload") for flag in flags):
        given.append("--workload=echo")
    assert main(["test", "--target=maelstrom", *given, *flags]) == code
    assert shown in capsys.readouterr().err


def test_the_shipped_program_runs_whatever_python3_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bin of examples/maelstrom.yaml, where the python3 of the PATH is of no use."""
    shipped = yaml.safe_load((HERE.parents[2] / "examples" / "maelstrom.yaml").read_text())
    [program] = {each["bin"] for each in shipped["matrix"]["config"]}
    other = tmp_path / "bin" / "python3"
    other.parent.mkdir()
    other.write_text("#!/bin/sh\nexit 1\n")
    other.chmod(0o755)
    monkeypatch.setenv("PATH", str(other.parent), prepend=os.pathsep)
    result = run(tmp_path / "store", "g-set", program)
    assert result.verdict is dynamesis.Verdict.VALID, result.explain()
    recorded = json.loads((result.folder / "test.json").read_text())
    assert sys.executable not in json.dumps(recorded["target"]), "may run elsewhere"


def test_a_campaign_shows_the_error_of_a_test(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = {"name": "one", "target": "maelstrom", "bin": f"{command('bad.py')} exit-at-init"}
    matrix = {"workload": ["echo"], "nemesis": ["none"], "config": [config], "seed": [1]}
    file = tmp_path / "bad.yaml"
    file.write_text(yaml.safe_dump({"name": "bad", "time_limit": "2s", "matrix": matrix}))
    main(["campaign", str(file), f"--store={tmp_path / 'store'}", "--plain"])
    [line] = [each for each in capsys.readouterr().out.splitlines() if each.startswith("error")]
    assert "dynamesis test: node n" in line
    assert "boot" not in line
