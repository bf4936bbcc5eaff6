"""Loads that drivers schedule, carry out and record by themselves, and the history that becomes of
their parts."""

from __future__ import annotations

import asyncio
import fcntl
import os
import signal
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from dynamesis.checkers.history.history import History, encode, read_history
from dynamesis.checkers.history.op import Op, OpError, Sibling
from dynamesis.checkers.history.pairing import INVOKE, OK
from dynamesis.harness import generators as gen
from dynamesis.harness.generators import Generator, Rng
from dynamesis.harness.results.parts import StillRuns, merge, part, parts_of
from dynamesis.harness.results.results import HISTORY
from dynamesis.harness.run.driver_messages import Progress
from dynamesis.harness.run.drivers import start_drivers
from dynamesis.harness.run.load_share import LoadPlan
from dynamesis.harness.run.recorder import Recorder
from dynamesis.harness.run.shared_load import SharedLoad
from dynamesis.harness.targets.system import EnvironmentFailed
from dynamesis.workloads import WORKLOADS
from dynamesis.workloads.base import Workload
from dynamesis.workloads.plain import PLAIN
from dynamesis.workloads.script.settings import Setting
from dynamesis.workloads.script.shared import Share
from dynamesis.workloads.script.used_keys import UsedKeys

THREADS, KEYS = 6, ("k0", "k1", "k2")


class Answers:
    """Answers every operation immediately, every tenth with a doubt; remembers what is recorded."""

    def __init__(self, thread: int) -> None:
        self.done = 0
        self.opened: list[dict[str, str]] = []

    async def open(self, addresses) -> None:
        self.opened.append(dict(addresses))

    async def invoke(self, op: Op) -> Op:
        await asyncio.sleep(0)
        self.done += 1
        if self.done % 10 == 0:
            doubt = OpError("timeout", False, "on purpose")
            return msgspec.structs.replace(op, type="info", value=None, error=doubt)
        shown = [Sibling("0.0", 0)] if op.f == "get" else None
        return msgspec.structs.replace(op, type="ok", siblings=shown)

    def recorded(self, index: int) -> None:
        """A basis may name it from here on."""

    async def close(self) -> None:
        """Nothing is open."""


class Dies(Answers):
    """The process of its driver is killed in the course of the load."""

    async def invoke(self, op: Op) -> Op:
        if self.done == 5:
            os.kill(os.getpid(), signal.SIGKILL)
        return await super().invoke(op)


def shares(folder: Path, workload: Workload, seconds: float = 0.5) -> LoadPlan:
    def load(number: int, drivers: int) -> Generator:
        share, met = Share(number, drivers), Setting(clients=THREADS)
        clients = workload.generator(Rng(1), KEYS, 500.0, None, met, share)
        return gen.time_limit(seconds, clients)

    return LoadPlan(folder, THREADS, load, frozenset({"k0"}), UsedKeys)


def run(
    folder: Path,
    workload: Workload,
    begin: Callable[[int], Answers] = Answers,
    seen: list[Progress] | None = None,
    drivers: int = 2,
    seconds: float = 0.5,
) -> dict[int | str, int]:
    """The whole load; its parts are left in the folder beside a history with a phase."""
    progress = [] if seen is None else seen
    with (
        start_drivers(
            drivers, THREADS, lambda: begin, shares(folder, workload, seconds)
        ) as started,
        Recorder(folder / HISTORY) as recorder,
    ):
        recorder.note("phase", "load")
        load = SharedLoad(started.sharing, lambda: {"n1": "there"}, progress.append, list)
        try:
            return asyncio.run(load.run(recorder.began, asyncio.Event()))
        finally:
            recorder.note("phase", "heal")


def merged(folder: Path) -> History:
    merge(folder / HISTORY)
    return read_history(folder / HISTORY)


@pytest.mark.parametrize("drivers", [1, 2, 5])
def test_the_parts_make_one_well_formed_history(tmp_path: Path, drivers: int) -> None:
    seen: list[Progress] = []
    played = run(tmp_path, WORKLOADS["register"], seen=seen, drivers=drivers)
    assert len(parts_of(tmp_path)) == drivers
    history = merged(tmp_path)
    assert not parts_of(tmp_path)
    ops = list(history)
    assert [op.time for op in ops] == sorted(op.time for op in ops)
    clients = [op for op in ops if isinstance(op.process, int)]
    assert {op.process % THREADS for op in clients} == set(range(THREADS))
    assert [op.value for op in ops if op.f == "phase"] == ["load", "heal"]
    values = [op.value for op in clients if op.type == "invoke" and op.f == "put"]
    assert len(values) > 20
    assert len(set(values)) == len(values)
    completed = [op for op in clients if op.type != "invoke"]
    assert sum(sum(each.counts.values()) for each in seen) == len(completed)
    assert any(op.f == "put" and op.key == "k0" for each in seen for op in each.newest)
    last = {op.process % THREADS: op.process for op in clients}
    for thread, process in last.items():
        doubt = [op.type for op in clients if op.process == process][-1] == "info"
        assert played[thread] == process + THREADS * doubt


def test_a_basis_names_the_event_that_it_named_in_its_part(tmp_path: Path) -> None:
    run(tmp_path, WORKLOADS["register"])
    before = {
        (own[op.basis].time, own[op.basis].process, op.id)
        for path in parts_of(tmp_path)
        for own in [list(map(msgspec.json.Decoder(Op).decode, path.read_bytes().splitlines()))]
        for op in own
        if isinstance(op.basis, int) and op.type == "invoke"
    }
    ops = list(merged(tmp_path))
    based = [op for op in ops if isinstance(op.basis, int) and op.type == "invoke"]
    assert based
    assert {(ops[op.basis].time, ops[op.basis].process, op.id) for op in based} == before


@pytest.mark.parametrize("name", [name for name, load in PLAIN.items() if load.shared_out()])
def test_workloads_without_contexts_write_no_value_twice(tmp_path: Path, name: str) -> None:
    run(tmp_path, PLAIN[name], seconds=0.3)
    written: list[object] = []
    threads: set[int] = set()
    for op in merged(tmp_path):
        if op.type != "invoke" or not isinstance(op.process, int):
            continue
        threads.add(op.process % 2)
        if op.f == "txn":
            written += [(m[1], m[2]) for m in op.value if m[0] != "r"]
        elif op.f in ("write", "enqueue", "echo") or (op.f == "add" and name in ("set", "g-set")):
            written.append(op.value)
    assert threads == {0, 1}
    assert len(set(written)) == len(written)


def test_clients_that_must_know_of_each_other_are_not_shared_out() -> None:
    assert not PLAIN["long-fork"].shared_out()
    assert all(each.shared_out() for each in WORKLOADS.values())

    class Own(Workload):
        name = "own"
        script = WORKLOADS["register"].script

        def generator(self, *given, **named):
            return super().generator(*given, **named)

    assert not Own().shared_out()


def test_a_driver_that_is_killed_is_named_and_what_it_recorded_is_kept(tmp_path: Path) -> None:
    def begin(thread: int) -> Answers:
        return (Dies if thread == 1 else Answers)(thread)

    with pytest.raises(EnvironmentFailed, match=r"driver-2.* ended by signal 9 before the load"):
        run(tmp_path, WORKLOADS["register"], begin, seconds=20)
    history = merged(tmp_path)
    open_ = (history.kind == INVOKE) & (history.pair < 0) & (history.process >= 0)
    assert {int(process) % 2 for process in history.process[open_]} == {1}
    assert {int(p) % 2 for p in history.process[(history.kind == OK)].tolist()} == {0, 1}


def test_the_driver_of_a_load_that_breaks_is_named(tmp_path: Path) -> None:
    def broken(thread):
        raise KeyError("no script")

    workload = Workload(name="broken", script=broken)
    with pytest.raises(RuntimeError, match=r"driver-[12]: GeneratorError: .*no script"):
        run(tmp_path, workload)


def test_what_is_killed_in_a_line_leaves_that_line_out(tmp_path: Path) -> None:
    (tmp_path / HISTORY).write_bytes(encode(Op(0, 1, "info", "harness", "phase", value="load")))
    get = encode(Op(0, 5, "invoke", 0, "get", key="k"))
    part(tmp_path, 1).write_bytes(get + encode(Op(1, 6, "ok", 0, "get", key="k", siblings=[]))[:-9])
    part(tmp_path, 2).write_bytes(encode(Op(0, 3, "invoke", 1, "get", key="k")))
    assert [(op.index, op.time) for op in merged(tmp_path)] == [(0, 1), (1, 3), (2, 5)]


def test_what_still_grows_is_not_merged(tmp_path: Path) -> None:
    (tmp_path / HISTORY).write_bytes(encode(Op(0, 1, "info", "harness", "phase", value="load")))
    part(tmp_path, 1).write_bytes(encode(Op(0, 5, "invoke", 0, "get", key="k")))
    with part(tmp_path, 1).open("rb") as claimed:
        fcntl.flock(claimed, fcntl.LOCK_EX)
        with pytest.raises(StillRuns, match=r"history-driver-1\.jsonl still grows"):
            merge(tmp_path / HISTORY)
    merge(tmp_path / HISTORY)
    assert len(read_history(tmp_path / HISTORY)) == 2
