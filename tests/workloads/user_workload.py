from dynamesis.checkers.history.op import Op
from dynamesis.workloads.base import DISTRIBUTION, Option, Workload
from dynamesis.workloads.script.shared import Drawn


def vote(load):
    keys, reads = load.distribution(), load.number("reads")

    def draw(rng, number):
        key, rng = keys.pick(rng)
        read, rng = rng.chance(reads)
        return (Op(f="read", key=key) if read else Op(f="add", key=key, value=1)), rng

    return Drawn(load.rng, draw)


VOTES = Workload(
    name="votes",
    description="votes for candidates: catches votes that are not counted",
    shared=vote,
    model="counter",
    operations=("add", "read"),
    options={
        "distribution": DISTRIBUTION,
        "reads": Option(0.2, (0.0, 1.0), "share of operations that read"),
    },
)
