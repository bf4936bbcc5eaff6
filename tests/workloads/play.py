"""A whole test in virtual time: load, quiesce, final reads and dumps, verdict."""

from __future__ import annotations

from dynamesis.checkers.graph.run import Run
from dynamesis.checkers.history.history import History
from dynamesis.checkers.history.op import Op
from dynamesis.harness import generators as gen
from dynamesis.harness.generators.simulate import simulate
from dynamesis.workloads import WORKLOADS
from dynamesis.workloads.base import Setting
from dynamesis.workloads.check_workload import check_workload
from msgspec.structs import replace
from stores import REPLICAS, STRICT, Store


def note(f, value):
    return Op(type="info", process="harness", f=f, value=value)


#: The disks of the store fail now and then as long as the load lasts: what it refuses has a cause.
FULL = {"fault": 0, "member": "disk.full", "kind": "full", "nodes": list(REPLICAS)}


def nemesis(f, **value):
    return Op(type="info", process="nemesis", f=f, value={**FULL, **value})


def play(name, store: Store, seed=1, seconds=8.0, keys=4, rate=100.0, concurrency=6, **options):
    """The history of workload `name` against `store`."""
    workload, names = WORKLOADS[name], [f"k{i}" for i in range(keys)]
    setting = Setting(clients=concurrency)
    source = gen.phases(
        note("phase", "load"),
        nemesis("start-disk"),
        nemesis("evidence", bit=True),
        gen.time_limit(seconds, workload.generator(gen.Rng(seed), names, rate, options, setting)),
        nemesis("stop-disk"),
        note("quiesce", {"quiet": True}),
        note("phase", "final"),
        workload.final_generator(names),
    )
    history = simulate(source, store, concurrency, store.recorded)
    history += dumps(store, workload.keys(names), len(history), history[-1].time)
    return [*history, replace(note("phase", "stop"), index=len(history), time=history[-1].time)]


def dumps(store, keys, index, time):
    """What every replica holds of every key."""
    events = []
    for key in keys:
        for replica in REPLICAS:
            op = Op(f="dump", key=key, replica=replica, index=index + len(events), time=time)
            siblings = list(store.read(key, [replica]).standing)
            done = Op(
                type="ok", f="dump", key=key, replica=replica, index=op.index + 1, time=time,
                siblings=siblings,
            )  # fmt: skip
            events += [op, done]
    return events


def judge(name, history):
    """The verdicts of the workload's own checkers on a store that promises fresh reads."""
    workload = WORKLOADS[name]
    test = {**STRICT, "workload": name, "checkers": workload.checkers, **workload.promises()}
    return check_workload(Run(History.of(history), test))
