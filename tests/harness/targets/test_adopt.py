"""A cluster that runs, tested by --target adopt: three key-value servers that are not ours."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from dynamesis.harness.processes.ports import reserve

pytestmark = pytest.mark.cluster

ROOT = Path(__file__).parents[3]
KV = ROOT / "tests/targets"
NODES = ("n1", "n2", "n3")


@contextmanager
def kv_cluster(folder: Path, **commands: str) -> Iterator[Path]:
    """The file of a cluster that has been started by its commands."""
    pid = f"$(cat {folder}/{{node}}.pid || echo none)"
    pairs = [(a, b) for a in NODES for b in NODES if a != b]
    with reserve(len(NODES) + len(pairs)) as ports:
        client = {node: f"127.0.0.1:{ports.take()}" for node in NODES}
        dials = {pair: f"127.0.0.1:{ports.take()}" for pair in pairs}
        nodes = {}
        for node in NODES:
            (folder / node).mkdir()
            primary = "-" if node == "n1" else dials[node, "n1"]
            port = client[node].rpartition(":")[2]
            words = f"{KV / 'kv_server.py'} {node} {port} {folder / node} {primary}"
            start = f"nohup {sys.executable} {words} >/dev/null 2>&1 & echo $! >{folder}/{node}.pid"
            own = {b: dials[a, b] for a, b in pairs if a == node}
            nodes[node] = {"client": client[node], "dials": own, "start": start}
        given = {
            "kill": f"kill -9 {pid}",
            "pause": f"kill -STOP {pid}",
            "resume": f"kill -CONT {pid}",
        } | commands
        file = folder / "cluster.yaml"
        content = {"store": f"{KV / 'kv.py'}:Kv", "nodes": nodes, "commands": given}
        file.write_text(yaml.safe_dump(content), encoding="utf-8")
        try:
            for entry in nodes.values():
                subprocess.run(["sh", "-c", str(entry["start"])], check=True, timeout=30)
            yield file
        finally:
            for node in NODES:
                kill = ["kill", "-9", (folder / f"{node}.pid").read_text().strip()]
                subprocess.run(kill, check=False, capture_output=True)


def run(folder: Path, file: Path, *more: str) -> tuple[subprocess.CompletedProcess[str], Path]:
    command = [sys.executable, "-m", "dynamesis.harness", "test", "--target", "adopt"]
    command += ["--target-option", f"file={file}", "--workload", f"{KV / 'plain.py'}:PLAIN"]
    command += ["--store", str(folder / "store"), "--links", "embedded", "--seed", "7", *more]
    done = subprocess.run(command, capture_output=True, text=True, timeout=200, cwd=ROOT)
    return done, next((folder / "store").glob("adopt-plain-*/2*"), folder)


def events(folder: Path, f: str) -> list[dict[str, Any]]:
    lines = (folder / "history.jsonl").read_text().splitlines()
    return [event for event in map(json.loads, lines) if event["f"] == f]


def test_a_cluster_that_runs_is_cut_killed_and_left_as_it_was(tmp_path: Path) -> None:
    with kv_cluster(tmp_path) as file:
        done, folder = run(
            tmp_path, file, "--nemesis", "cut.one,kill.one,pause.one", "--time-limit", "6s"
        )
        assert done.returncode in (0, 1, 3), done.stderr + done.stdout
        proofs = [event["value"] for event in events(folder, "evidence")]
        assert {proof["fault"] for proof in proofs if proof["bit"]}
        failed = [event for event in events(folder, "start-kill") if event.get("error")]
        assert failed == []
        for node in NODES:  # also those that were killed
            pid = (tmp_path / f"{node}.pid").read_text().strip()
            assert Path(f"/proc/{pid}").exists()


def test_what_its_owner_gives_no_command_for_is_refused(tmp_path: Path) -> None:
    with kv_cluster(tmp_path) as file:
        content = yaml.safe_load(file.read_text())
        del content["commands"]["pause"]
        file.write_text(yaml.safe_dump(content))
        done, _ = run(tmp_path, file, "--nemesis", "pause.one", "--time-limit", "2s")
    assert done.returncode == 2
    assert "needs nodes that can be paused (pause), which target adopt does not have" in done.stderr


def test_a_command_that_fails_is_in_the_history_and_leaves_the_verdict_unknown(
    tmp_path: Path,
) -> None:
    with kv_cluster(tmp_path, kill="echo connection refused >&2; exit 255") as file:
        done, folder = run(tmp_path, file, "--nemesis", "kill.one", "--time-limit", "3s")
    assert done.returncode == 3, done.stderr + done.stdout
    [error, *_] = [event["error"] for event in events(folder, "start-kill") if "error" in event]
    assert "nemesis-failed" in json.dumps(error)
    assert "exit code 255: connection refused" in json.dumps(error)
