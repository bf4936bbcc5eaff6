"""Whole tests in virtual time: valid where nothing is wrong, invalid where a bug is planted, and
the same for the same seed, byte for byte."""

from __future__ import annotations

import asyncio
import gc
import hashlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from dynamesis.checkers.history.op import Op, encode
from dynamesis.cluster.core.node.admin import Admin
from dynamesis.cluster.core.node.node import Node
from dynamesis.cluster.zoo import BUGS
from dynamesis.harness import generators as gen
from dynamesis.harness.usage.exits import UsageError
from dynamesis.harness.worlds.compose import load_of
from dynamesis.harness.worlds.simulated.administration import Administration
from dynamesis.harness.worlds.simulated.run import judge, simulate
from dynamesis.harness.worlds.simulated.tweaks import POINTS, Tweaks
from dynamesis.harness.worlds.test_spec import overrides
from simulations import notes, options, run, with_faults

FAMILIES = ("cut", "link", "kill", "pause", "wipe", "disk", "clock", "load", "membership", "storm")


@pytest.mark.parametrize("workload", ["cart", "register", "counter", "sessions", "blind", "bulk"])
def test_a_clean_run_is_valid(workload: str) -> None:
    ended, results = run(workload)
    assert results["valid"] is True, results
    assert results["evidence"]["acknowledged"] > 20
    assert ended.test["booted"]
    assert [op.value for op in notes(ended, "phase")] == [
        *("boot", "load", "heal", "quiesce", "final", "stop")
    ]


def test_a_node_is_not_looked_at_again_where_nothing_has_happened(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    looks: list[str] = []
    status = Admin.status

    def counted(self: Admin, args: dict[str, Any]) -> dict[str, object]:
        looks.append("")
        return status(self, args)

    monkeypatch.setattr(Admin, "status", counted)
    once, _ = run("cart", "kill")
    fewer, looks[:] = len(looks), []
    monkeypatch.setattr(Administration, "ask", Administration._ask)
    every, _ = run("cart", "kill")
    assert fewer < 0.9 * len(looks)
    assert once.history == every.history


@pytest.mark.parametrize("family", FAMILIES)
def test_no_fault_makes_a_sound_node_invalid(family: str) -> None:
    for seed in (4, 6):
        ended, results = run("register", family, seed=seed, time_limit=4.0)
        assert results["anomalies"] == {}, (seed, results["checkers"])
        assert results["valid"] is True, (seed, results["checkers"])
        assert any(op.f == f"stop-{each}" for op in ended.history for each in FAMILIES)


def test_a_full_disk_after_a_wipe_takes_no_copy_back_that_was_there_before_it() -> None:
    """Found in a storm on processes: `lost-hint` 77 times, where the node was right."""
    wipe = {"start": 4.5, "stop": 4.8, "member": "wipe.one", "nodes": ["n2"]}
    full = {"start": 5.0, "stop": 6.5, "member": "disk.full", "kind": "full", "nodes": ["n2"]}
    ended = simulate(
        with_faults([wipe, {**full, "with": {}}], param=("anti_entropy_interval=0",),
                    time_limit=7.0, rate=60, keys=12, seed=3)
    )  # fmt: skip
    before: set[object] = set()
    undone: set[object] = set()
    for line in ended.node_logs["n2"]:
        if line["event"] == "stored" and line["mono"] < ended.test["began"] + 1_400_000_000:
            before.add(line["key"])
        elif line["event"] == "undone" and line["now"] is None and "hint_for" not in line:
            undone.add(line["key"])
    assert before & undone
    results = judge(ended)
    assert results["valid"] is True, results["anomalies"]
    assert results["checkers"]["places"]["details"]["writes"] > 50


@pytest.mark.parametrize(
    "name",
    [
        *("ctx-only-increment", "equal-actors", "ack-before-durable", "w-counts-twice"),
        *("repair-overwrites", "hints-forgotten", "hard-delete", "handoff-overwrites"),
    ],
)
def test_a_planted_bug_is_caught(name: str) -> None:
    bug = BUGS[name]
    asked = {**overrides(bug.options), "bug": (name,), "time_limit": 4.0}
    for seed in range(1, 7):
        _, results = run(bug.workload, bug.nemesis, seed=seed, **asked)
        if set(results["anomalies"]) & set(bug.anomalies):
            break
    assert results["valid"] is False
    assert set(results["anomalies"]) & set(bug.anomalies), results["anomalies"]


def test_virtual_seconds_cost_nothing() -> None:
    began = time.monotonic()
    ended = simulate(options(time_limit=600.0, rate=0.1, n=1, r=1, w=1, nodes=1))
    assert ended.seconds > 600
    assert time.monotonic() - began < 60


_HASHES = """
import hashlib, sys
sys.path.insert(0, {here!r})
from dynamesis.checkers.history.op import Op, encode
from dynamesis.harness.worlds.simulated.run import simulate
from dynamesis.harness.worlds.test_spec import overrides
from simulations import options
for workload, nemesis in (("register", "cut,kill,pause,link"), ("cart", "storm"),
                          ("register", "wipe,disk,clock"), ("counter", "membership,load")):
    ended = simulate(options(workload, nemesis, seed=7, time_limit=1.5), story=True)
    print(hashlib.sha256(b"".join(map(encode, ended.history))).hexdigest())
    print(hashlib.sha256(repr(ended.messages).encode()).hexdigest())
    print(hashlib.sha256(repr(ended.node_logs).encode()).hexdigest())
"""


def test_a_seed_gives_the_same_history_whatever_the_hash_seed() -> None:
    code = _HASHES.format(here=str(Path(__file__).parent))
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed},
            stdout=subprocess.PIPE,
            text=True,
        )
        for seed in ("1", "2")
    ]
    first, second = (process.communicate()[0] for process in processes)
    assert len(first.splitlines()) == 12
    assert first == second


def test_nodes_that_died_with_puts_in_progress_are_freed() -> None:
    """Of some 30 killed lives a schedule left one behind: a swarm grew without end."""
    gc.collect()
    before = {id(each) for each in gc.get_objects() if isinstance(each, Node)}
    for seed in range(1, 4):
        slow = Tweaks(fsync=(0.05, 0.1))
        simulate(options(nemesis="kill", seed=seed, rate=200, concurrency=8), tweaks=slow)
    gc.collect()
    assert not [each for each in gc.get_objects() if type(each) is Node and id(each) not in before]


def test_another_seed_gives_another_history() -> None:
    histories = [simulate(options(nemesis="kill", seed=seed)).history for seed in (1, 2, 1)]
    digests = [hashlib.sha256(b"".join(map(encode, each))).hexdigest() for each in histories]
    assert digests[0] == digests[2] != digests[1]


def test_a_load_of_ones_own_takes_the_place_of_the_drawn_one() -> None:
    asked = options()
    ended = simulate(asked, load=gen.limit(5, load_of(asked, asked.given_keys)))
    load = [op for op in ended.history if op.type == "invoke" and op.f in ("get", "put")]
    assert len(load) == 5 + len(asked.workload.keys(asked.given_keys))  # and the final reads


def test_the_story_has_every_message() -> None:
    ended = simulate(options(), story=True)
    assert simulate(options(), story=True).messages == ended.messages
    kinds = {sighting.what for sighting in ended.messages}
    assert {"sent", "received", "stored"} <= kinds
    sent = [each for each in ended.messages if each.what == "sent"]
    assert {"client", "n1"} <= {each.source for each in sent}
    assert simulate(options()).messages == ()


@pytest.fixture(scope="module")
def usual() -> tuple[Op, ...]:
    """The history of such a test in which nothing is rare."""
    return simulate(killed()).history


def killed() -> Any:
    return options(nemesis="kill.minority", seed=3, time_limit=4.0)


@pytest.mark.parametrize("point", POINTS)
def test_what_is_rare_harms_no_sound_node(point: str, usual: tuple[Op, ...]) -> None:
    tweaks = Tweaks(points={point: 0.05})
    ended = simulate(killed(), tweaks=tweaks)
    assert ended.history != usual
    assert judge(ended)["valid"] is True


def test_priorities_hold_messages_of_some_nodes_back() -> None:
    ended = simulate(options(), tweaks=Tweaks(priorities=3))
    assert ended.history != simulate(options()).history
    assert judge(ended)["valid"] is True


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"target": "redis", "workload": None}, "--world: target redis cannot be simulated"),
        ({"links": "direct"}, "--links: a simulated world has links of its own"),
        ({"drivers": 2}, "--drivers: a simulated world is one process"),
        ({"world": "moon"}, "--world: there is no 'moon'"),
    ],
)
def test_what_only_processes_can_do_is_refused(wrong: dict[str, Any], why: str) -> None:
    with pytest.raises(UsageError, match=why):
        options(**wrong)


def test_the_command_line_leaves_a_whole_folder(tmp_path: Path) -> None:
    command = [
        *(sys.executable, "-m", "dynamesis.harness", "test", "--world=simulated"),
        *("--workload=cart", "--nemesis=cut,kill", "--time-limit=3s", "--seed=5"),
        f"--store={tmp_path}",
    ]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    folder = tmp_path / "latest"
    test = json.loads((folder / "test.json").read_text())
    assert test["world"] == "simulated"
    assert test["links_used"] == "simulated"
    assert (folder / "report.html").stat().st_size > 1000
    assert (folder / "nodes" / "n1" / "node.log").read_text().count("\n") > 5
    again = subprocess.run(
        [sys.executable, "-m", "dynamesis.harness", "check", str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert again.returncode == 0, again.stdout + again.stderr


def test_in_a_folder_it_is_the_same_test(dynamesis: Any) -> None:
    outcome = dynamesis("cart", "kill", world="simulated", time_limit="2s", seed=6, rate=50)
    assert outcome.valid, outcome.explain()
    written = (outcome.folder / "history.jsonl").read_bytes()
    ended = simulate(options("cart", "kill", time_limit=2.0, seed=6, concurrency=10, keys=8))
    assert written == b"".join(map(encode, ended.history))


def test_a_store_that_is_kept_takes_the_same_tests_again(tmp_path: Path) -> None:
    """Each session beside those before it, whatever the length of a test's name and wherever it
    goes."""
    file, store = tmp_path / "test_again.py", tmp_path / "kept"
    file.write_text(
        "import pytest\n"
        f"@pytest.mark.parametrize('name', ['{'long' * 70}'])\n"
        "def test_it(dynamesis, name, tmp_path, monkeypatch):\n"
        "    monkeypatch.chdir(tmp_path)\n"
        "    dynamesis('register', world='simulated', time_limit='1s', nodes=3, seed=1)\n",
        encoding="utf-8",
    )
    asked = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", os.devnull]
    for count in (1, 2):
        again = subprocess.run(
            [*asked, "--dynamesis-store=kept", str(file)],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert again.returncode == 0, again.stdout
        assert len([*store.glob("*/dynamesis-*/latest/results.json")]) == count


def test_a_coroutine_runs_a_simulated_test_as_any_caller_does() -> None:
    asked = options(seed=7)

    async def inside() -> bytes:
        return b"".join(map(encode, simulate(asked).history))

    assert asyncio.run(inside()) == b"".join(map(encode, simulate(asked).history))
