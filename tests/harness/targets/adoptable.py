"""A cluster that the harness does not run: a test starts it, with its owner's shell commands."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml
from dynamesis.harness.processes.ports import reserve

NODE = Path(__file__).parent.parent / "links/dial_node.py"
NODES = ("n1", "n2", "n3")
PAIRS = [(a, b) for a in NODES for b in NODES if a != b]


class Owned:
    """Three nodes that dial each other by ports at which proxies are to listen."""

    def __init__(self, folder: Path, ports: list[int]) -> None:
        self.folder = folder
        take = iter(ports)
        self.client = {node: next(take) for node in NODES}
        self.peer = {node: next(take) for node in NODES}
        self.dials = {pair: next(take) for pair in PAIRS}
        self.file = folder / "cluster.yaml"

    def start_command(self, node: str) -> str:
        peers = " ".join(f"{b}=127.0.0.1:{self.dials[a, b]}" for a, b in PAIRS if a == node)
        own = f"{node} 127.0.0.1 {self.peer[node]} {self.client[node]}"
        program = f"{sys.executable} {NODE} {own} {peers}"
        return f"nohup {program} >/dev/null 2>&1 & echo $! > {self.pid_file(node)}"

    def pid_file(self, node: str) -> Path:
        return self.folder / f"{node}.pid"

    def pid(self, node: str) -> int:
        return int(self.pid_file(node).read_text())

    def write(self, **changes: Any) -> Path:
        """The file that describes it; `changes` of the commands, None takes one away."""
        pid = f"$(cat {self.folder}/{{node}}.pid || echo none)"
        commands = {
            "kill": f"kill -9 {pid}",
            "stop": f"kill {pid}",
            "pause": f"kill -STOP {pid}",
            "resume": f"kill -CONT {pid}",
            "state": (
                f"case $(sed 's/.*) //;s/ .*//' /proc/{pid}/stat 2>/dev/null) in "
                "T) echo paused;; Z|'') echo down;; *) echo running;; esac"
            ),
        } | changes
        nodes = {
            node: {
                "client": f"127.0.0.1:{self.client[node]}",
                "peer": f"127.0.0.1:{self.peer[node]}",
                "dials": {b: f"127.0.0.1:{self.dials[a, b]}" for a, b in PAIRS if a == node},
                "start": self.start_command(node),
            }
            for node in NODES
        }
        given = {action: command for action, command in commands.items() if command}
        content = {"store": "redis", "nodes": nodes, "commands": given, "limit": 10}
        self.file.write_text(yaml.safe_dump(content), encoding="utf-8")
        return self.file

    def start(self, node: str) -> None:
        subprocess.run(["sh", "-c", self.start_command(node)], check=True, timeout=30)
        deadline = time.monotonic() + 30
        while self.asked(node) is None:
            assert time.monotonic() < deadline
            time.sleep(0.05)

    def asked(self, node: str) -> dict[str, Any] | None:
        """What a node answers; None if it does not."""
        try:
            with socket.create_connection(("127.0.0.1", self.client[node]), 5) as connection:
                answer = b"".join(iter(lambda: connection.recv(4096), b""))
        except OSError:
            return None
        return dict(json.loads(answer)) if answer else None

    def end(self) -> None:
        for node in NODES:
            if self.pid_file(node).exists():
                subprocess.run(
                    ["kill", "-9", str(self.pid(node))], check=False, capture_output=True
                )


@contextmanager
def owned(folder: Path, running: tuple[str, ...] = NODES) -> Iterator[Owned]:
    with reserve(2 * len(NODES) + len(PAIRS)) as ports:
        cluster = Owned(folder, [ports.take() for _ in ports.numbers])
        try:
            for node in running:
                cluster.start(node)
            yield cluster
        finally:
            cluster.end()
