"""A whole test in virtual time of a workload without contexts: load, heal, final reads, verdict."""

from __future__ import annotations

from dynamesis.checkers.graph.run import Run
from dynamesis.checkers.history.history import History
from dynamesis.checkers.history.op import Op
from dynamesis.harness import generators as gen
from dynamesis.harness.generators.simulate import simulate
from dynamesis.workloads.base import Setting
from dynamesis.workloads.check_workload import check_workload
from dynamesis.workloads.plain import PLAIN
from dynamesis.workloads.script.used_keys import UsedKeys
from msgspec.structs import replace


def note(f, value):
    return Op(type="info", process="harness", f=f, value=value)


FAULT = {"fault": 0, "member": "kill.one", "kind": "kill", "nodes": ["n1"]}


def nemesis(f, **value):
    return Op(type="info", process="nemesis", f=f, value={**FAULT, **value})


class Final:
    """The final reads of what was used until they begin: a generator that is made late."""

    def __init__(self, workload, names, options, used):
        self.make = lambda: workload.final_generator(names, options, used.keys)

    def op(self, ctx):
        return self.make().op(ctx)

    def update(self, ctx, event):
        return self


def play(
    name, store, seed=1, seconds=8.0, keys=4, rate=100.0, concurrency=6, final=True, **options
):
    """The history of workload `name` (or a Workload) against `store`."""
    workload, names = (
        (PLAIN[name] if isinstance(name, str) else name),
        [f"k{i}" for i in range(keys)],
    )
    used = UsedKeys()
    load = workload.generator(gen.Rng(seed), names, rate, options, Setting(clients=concurrency))
    source = gen.phases(
        note("phase", "load"),
        nemesis("start-kill"),
        nemesis("evidence", bit=True),
        gen.time_limit(seconds, load),
        nemesis("stop-kill"),
        note("phase", "heal"),
        note("quiesce", {"quiet": True}),
        note("phase", "final"),
        Final(workload, names, options, used) if final else None,
    )

    def recorded(event):
        used.observe(event)
        store.recorded(event)

    history = simulate(source, store, concurrency, recorded)
    return [*history, replace(note("phase", "stop"), index=len(history), time=history[-1].time)]


def metadata(name, **options):
    """What test.json has of a test of this workload."""
    workload = PLAIN[name] if isinstance(name, str) else name
    return {"workload": workload.name, "time_limit": 8, **workload.promises(options)}


def judge(name, history, workload=None, **options):
    """The verdict on such a test."""
    return check_workload(Run(History.of(history), metadata(name, **options)), workload)
