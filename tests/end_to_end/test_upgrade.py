"""Nodes of two versions in one test, upgraded and rolled back one by one, on real processes."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import dynamesis.cluster
import dynamesis.cluster.core.protocol.messages as messages
import pytest
from dynamesis.cluster.process.runtime import NodeRuntime

from tests.end_to_end.conftest import Call, Run, Start

pytestmark = pytest.mark.cluster

SMALL = ("--workload", "register", "--links", "embedded", "--nodes", "3", "--keys", "4")
#: a store of which a version is a word in its command line
PLAIN = """
import sys
from copy import copy
from dynamesis import Target
from dynamesis.targets import Command
from {example} import Kv, KvClient, STORE

class Two(Kv):
    name = "two"
    takes_version = True
    label = "1.0"
    broken = False

    def in_version(self, version):
        if version not in ("2.0", "broken"):
            raise ValueError(f"--target-version: there is no version {{version}}; there is 2.0")
        other = copy(self)
        other.label, other.broken = version, version == "broken"
        return other

    def command(self, node, site):
        if self.broken:
            return Command(["false"])
        return Command.line(self.start, node, site, store=STORE)
"""


def checkout(folder: Path, change: Mapping[str, tuple[str, str]] | None = None) -> Path:
    """A second copy of the node's code, with changes by file."""
    cluster = Path(dynamesis.cluster.__file__).parent
    package = folder / "dynamesis"
    shutil.copytree(cluster, package / "cluster", ignore=shutil.ignore_patterns("__pycache__"))
    (package / "__init__.py").write_text("")
    for name, (before, after) in (change or {}).items():
        path = package / "cluster" / name
        assert before in path.read_text()
        path.write_text(path.read_text().replace(before, after, 1))
    return folder


def values(run: Run, f: str) -> list[dict[str, Any]]:
    return [op["value"] for op in run.history() if op["f"] == f and op["type"] == "info"]


def versions_of_processes(run: Run) -> set[str]:
    """The paths for Python of all nodes that live now."""
    found = set()
    for pid, command in run._processes().items():
        if "dynamesis.cluster" in command:
            try:
                environment = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
            except OSError:
                continue
            found |= {e.decode() for e in environment if e.startswith(b"PYTHONPATH=")}
    return found


def test_nodes_are_upgraded_and_rolled_back_one_by_one(start: Start, tmp_path: Path) -> None:
    change = {"net/listener.py": ('"""', '"""Another version. ')}
    other = checkout(tmp_path / "other", change)
    run = start("test", *SMALL, "--target-version", "other", "--nemesis", "upgrade.rolling",
                "--time-limit", "8s", "--seed", "3")  # fmt: skip
    mixed: list[int] = []

    def seen() -> bool:
        paths = versions_of_processes(run)
        mixed.append(len(paths))
        return any(str(other) in path for path in paths) and len(paths) == 2

    run.until(seen, "nodes of two versions at the same time")
    assert run.wait() == 0, run.printed()
    starts, proofs = values(run, "start-upgrade"), values(run, "evidence")
    assert starts[0]["versions"]["to"].startswith("other (")
    assert starts[0]["versions"]["from"].startswith("this (")
    assert sorted(starts[0]["nodes"]) == ["n1", "n2", "n3"]
    assert proofs[0]["bit"]
    assert set(proofs[0]["detail"]["versions"].values()) == {starts[0]["versions"]["to"]}
    first, *_ = starts[0]["nodes"]
    linked = proofs[0]["detail"]["linked"][first]
    assert linked == sorted({"n1", "n2", "n3"} - {first}), "with nodes of the version before"
    ledger = [json.loads(row) for row in (run.results() / "ledger.jsonl").open()]
    assert ledger[0]["value"]["versions"] == starts[0]["versions"]
    described = json.loads((run.results() / "test.json").read_text())["target_versions"]
    assert described == [starts[0]["versions"]["from"], starts[0]["versions"]["to"]]


@pytest.mark.nightly
def test_a_version_that_speaks_differently_is_caught(start: Start, tmp_path: Path) -> None:
    """Each greets the other as one of its own: only the frames show it."""
    name = "class ReplicaPut(_Base, frozen=True"
    change = {"core/protocol/messages.py": (name, f'{name}, tag="ReplicaPut2"')}
    checkout(tmp_path / "other", change)
    run = start("test", *SMALL, "--target-version", "other", "--nemesis", "upgrade.rolling",
                "--time-limit", "8s", "--seed", "3")  # fmt: skip
    assert run.wait() == 1, run.printed()
    assert "not-understood" in run.printed()
    assert "ReplicaPut" in run.printed()


@pytest.mark.nightly
def test_a_version_that_writes_what_the_other_cannot_read_is_caught_when_rolled_back(
    start: Start, tmp_path: Path
) -> None:
    """The second version reads both formats and writes its own, as migrations do."""
    encode = "_encode = msgspec.msgpack.Encoder().encode"
    decode = "_decode = msgspec.msgpack.Decoder(Record).decode"
    both = (
        "_old = msgspec.msgpack.Encoder().encode\n"
        "_encode = lambda record: b'\\xc1' + _old(record)\n"
        "_read = msgspec.msgpack.Decoder(Record).decode\n"
        "_decode = lambda raw: _read(raw[1:] if bytes(raw[:1]) == b'\\xc1' else raw)"
    )
    change = {"core/storage/record_table.py": (f"{encode}\n{decode}", both)}
    checkout(tmp_path / "other", change)
    run = start("test", *SMALL, "--target-version", "other", "--nemesis", "upgrade.rolling",
                "--time-limit", "8s", "--seed", "3")  # fmt: skip
    assert run.wait() == 1, run.printed()
    results = json.loads((run.results() / "results.json").read_text())
    assert "unreadable-record" in results["anomalies"]
    assert "which writes what this one cannot read" in run.printed()


def test_a_version_that_does_not_start_is_unknown(start: Start, tmp_path: Path) -> None:
    change = {"__main__.py": ("def main(", 'raise SystemExit("no libnew.so here")\ndef main(')}
    checkout(tmp_path / "other", change)
    run = start("test", *SMALL, "--target-version", "other", "--nemesis", "upgrade.one",
                "--time-limit", "3s", "--seed", "3")  # fmt: skip
    assert run.wait() == 3, run.printed()
    assert "in version other (" in run.printed()
    assert "no libnew.so here" in run.printed()


def test_a_version_of_another_protocol_is_refused(call: Call, tmp_path: Path) -> None:
    spoken = messages.PROTOCOL
    change = {"core/protocol/messages.py": (f"PROTOCOL = {spoken}", f"PROTOCOL = {spoken + 1}")}
    checkout(tmp_path / "other", change)
    run = call("test", *SMALL, "--target-version", "other", "--nemesis", "upgrade")
    assert run.wait() == 2
    assert f"speaks protocol {spoken + 1} and this version {spoken}" in run.printed()
    assert run.printed().count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("--target-version", "none"), "is not there"),
        (("--target-version", "."), "a folder without bin/python"),
        (("--target-version", "/bin/true"), "has no node of Dynamesis"),
        (("--target", "redis", "--target-version", "x"), "target redis takes none"),
        ((), "given by --target-version"),
    ],
)
def test_what_cannot_be_upgraded(arguments: tuple[str, ...], expected: str, call: Call) -> None:
    run = call("test", "--nemesis", "upgrade", *arguments)
    assert run.wait() == 2, run.printed()
    assert expected in run.printed()
    assert run.printed().count("\n") == 1


@pytest.mark.nightly
def test_another_store_has_two_versions_too(start: Start, tmp_path: Path) -> None:
    (tmp_path / "two.py").write_text(PLAIN.format(example="dynamesis.examples.kv_http.target"))
    flags = ("--target", "two.py:Two", "--links", "embedded", "--time-limit", "6s", "--seed", "5")
    run = start("test", *flags, "--target-version", "2.0", "--nemesis", "upgrade.one,kill.one")
    assert run.wait() == 0, run.printed()
    assert values(run, "start-upgrade")[0]["versions"] == {"from": "1.0", "to": "2.0"}
    refused = start("test", *flags, "--target-version", "3.0", "--nemesis", "upgrade")
    assert refused.wait() == 2
    assert "there is no version 3.0" in refused.printed()
    broken = start("test", *flags, "--target-version", "broken", "--nemesis", "upgrade.one")
    assert broken.wait() == 3, broken.printed()
    assert "in version broken: node" in broken.printed()


@pytest.mark.nightly
def test_a_schedule_has_upgrades_and_replays_them(start: Start, tmp_path: Path) -> None:
    checkout(tmp_path / "other")
    (tmp_path / "schedule.yaml").write_text(
        "faults:\n- {start: 0.5, stop: 3.0, member: upgrade.rolling, nodes: [n2, n1],"
        " signal: SIGKILL}\n"
    )
    run = start("test", *SMALL, "--target-version", "other", "--schedule", "schedule.yaml",
                "--time-limit", "5s")  # fmt: skip
    assert run.wait() == 0, run.printed()
    (began,) = values(run, "start-upgrade")
    assert began["nodes"] == ["n2", "n1"]
    assert began["versions"]["to"] == "other (same code)"


def test_our_own_variables_do_not_reach_another_version() -> None:
    ours = NodeRuntime().environment({"PYTHONPATH": "/mine", "HOME": "/h"})
    assert ours["PYTHONPATH"].endswith(":/mine")
    other = NodeRuntime("x", "/venv/bin/python", (), other=True).environment(
        {"PYTHONPATH": "/mine"}
    )
    assert "PYTHONPATH" not in other
