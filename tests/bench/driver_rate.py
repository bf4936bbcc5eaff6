"""How many operations a second load drivers schedule, send and record, without a store behind them.

`python tests/bench/driver_rate.py [--drivers 2] [--rate 10000] [--clients 64] [--seconds 5]
[--seed 7]`: clients answer immediately. Given are the completions a second of the load, of how many
operations that were drawn, the CPU time of each operation in all drivers together, and by how much
the load was late; then what it costs to merge the parts of the history.

A load comes in clumps of 2.5 on average, so that how many operations are drawn deviates by twice
the root of their number: of 50,000 in 5 s by 450, the same for the same `--seed`. That the drivers
keep up shows where all that are drawn were completed.
"""

from __future__ import annotations

import argparse
import asyncio
import resource
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

import msgspec
import numpy as np
from dynamesis.checkers.history.history import read_history
from dynamesis.checkers.history.op import Op, Sibling
from dynamesis.harness import generators as gen
from dynamesis.harness.generators import Generator, Rng
from dynamesis.harness.generators.simulate import invocations, quick
from dynamesis.harness.results.parts import merge
from dynamesis.harness.results.results import HISTORY
from dynamesis.harness.run.drivers import start_drivers
from dynamesis.harness.run.load_share import LoadPlan
from dynamesis.harness.run.recorder import Recorder
from dynamesis.harness.run.shared_load import SharedLoad
from dynamesis.workloads import WORKLOADS
from dynamesis.workloads.script.settings import Setting
from dynamesis.workloads.script.shared import Share
from dynamesis.workloads.script.used_keys import UsedKeys


class Immediate:
    """Answers every operation with what its client wrote last."""

    def __init__(self, thread: int) -> None:
        self._last = [Sibling("0.0", 0)]

    async def open(self, addresses: Mapping[str, str]) -> None:
        """There are no nodes."""

    async def invoke(self, op: Op) -> Op:
        if op.f == "get":
            return msgspec.structs.replace(op, type="ok", siblings=self._last)
        self._last = [Sibling(str(op.id), op.value, op.f == "delete")]
        return msgspec.structs.replace(op, type="ok", value=None)

    def recorded(self, index: int) -> None:
        """Contexts are not kept."""

    async def close(self) -> None:
        """Nothing is open."""


def shares(asked: argparse.Namespace, folder: Path) -> LoadPlan:
    """The load, for one driver or several."""
    workload, keys = WORKLOADS[asked.workload], tuple(f"k{i}" for i in range(asked.keys))
    workload.keys(keys)  # found once, before drivers are forked

    def load(number: int, drivers: int) -> Generator:
        rate = asked.rate / drivers
        share, met = Share(number, drivers), Setting(clients=asked.clients)
        clients = workload.generator(Rng(asked.seed), keys, rate, None, met, share)
        return gen.time_limit(asked.seconds, clients)

    return LoadPlan(folder, asked.clients, load, frozenset(), UsedKeys)


def drawn(plan: LoadPlan, asked: argparse.Namespace) -> int:
    """How many operations the load of all drivers has where nothing is late, in virtual time."""
    loads = [plan.generator(number, asked.drivers) for number in range(asked.drivers)]
    return sum(len(invocations(quick(load, asked.clients))) for load in loads)


def used() -> float:
    """The CPU time of all drivers that have ended, s."""
    of = resource.getrusage(resource.RUSAGE_CHILDREN)
    return of.ru_utime + of.ru_stime


def main() -> None:
    """Run the load, and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name, kind, default in (
        ("drivers", int, 2),
        ("rate", float, 10_000.0),
        ("clients", int, 64),
        ("seconds", float, 5.0),
        ("keys", int, 100),
        ("seed", int, 7),
        ("workload", str, "register"),
    ):
        parser.add_argument(f"--{name}", type=kind, default=default)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with (
            start_drivers(
                asked.drivers, asked.clients, lambda: Immediate, shares(asked, folder)
            ) as drivers,
            Recorder(folder / HISTORY) as recorder,
        ):
            recorder.note("phase", "load")
            load = SharedLoad(drivers.sharing, dict, lambda progress: None, lambda keys: None)
            asyncio.run(load.run(recorder.began, asyncio.Event()))
        begun, cpu = time.perf_counter(), used()
        merge(folder / HISTORY)
        merged = time.perf_counter() - begun
        history = read_history(folder / HISTORY)
        ended = history.time[(history.process >= 0) & (history.kind != 0)]
        late = [int(history.time[row]) - due for row, due in history.due.items()]
        due = drawn(shares(asked, folder), asked)
        rate = len(ended) / ((ended[-1] - history.time[0]) / 1e9)
        print(
            f"{len(ended)} operations of {due} drawn, {rate:.0f} a second, "
            f"{1e6 * cpu / len(ended):.1f} us of CPU each; "
            f"{len(late)} late by more than 1 ms, p99 of these "
            f"{np.percentile(late, 99) / 1e6 if late else 0:.1f} ms; merged in {merged:.2f} s"
        )


if __name__ == "__main__":
    main()
