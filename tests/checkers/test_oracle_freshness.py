"""Stale reads around changes of the membership and wipes agree with brute force."""

from __future__ import annotations

from dynamesis.checkers.history.history import Op
from hypothesis import example, given
from hypothesis import strategies as st
from oracle_promises import Promises
from programs import PRIMARIES, Run
from test_oracle_promises import LENIENT, STRICT, named, verdict

#: as programs.STEP, with one more slot: the nemesis
STEP = st.tuples(
    st.integers(0, 3), st.integers(0, 9), st.integers(0, 1), st.integers(0, 63), st.integers(6, 15)
)


class Faulty(Run):
    """A run in which nodes come, go, and forget."""

    def __init__(self) -> None:
        super().__init__()
        self.faults: list[tuple[int, str]] = []

    def step(self, slot: int, what: int, key: int, bits: int, twist: int) -> None:
        if slot < 3:
            super().step(slot, what, key, bits, twist)
        elif what < 4:
            self.faults.append((len(self.faults), "wipe" if what < 2 else "membership"))
            number, kind = self.faults[-1]
            self.nemesis("invoke", f"start-{kind}", {"fault": number, "nodes": ["n1"]})
            self.nemesis("info", f"start-{kind}", {"fault": number, "nodes": ["n1"]})
        elif self.faults:
            number, kind = self.faults[bits % len(self.faults)]
            if what < 7:
                value = {"fault": number, "bit": what < 6}
                if key:
                    value["detail"] = {"membership": {"settled": bits % 4 > 0}}
                self.nemesis("info", "evidence", value)
            else:
                self.nemesis("invoke", f"stop-{kind}", {"fault": number})
                self.nemesis("info", f"stop-{kind}", {"fault": number})

    def nemesis(self, type: str, f: str, value: dict[str, object]) -> None:
        self.event(type=type, process="nemesis", f=f, value=value)


def ran(program) -> list[Op]:
    steps, finals = program
    running = Faulty()
    for step in steps:
        running.step(*step)
    running.finish(finals, True)
    return running.ops


FINAL = st.tuples(st.integers(0, 63), st.integers(6, 15))


GET, PUT, ENDS = (0, 0, 0, 0, 6), (0, 4, 0, 0, 6), (0, 2, 0, 0, 6)
WIPE, WIPE_ENDS, JOIN = (3, 0, 0, 0, 6), (3, 7, 0, 0, 6), (3, 2, 0, 0, 6)
#: as it was found: the wipe is ended a second time after a put that a get then lacks
ENDED_TWICE = ([WIPE, WIPE_ENDS, PUT, ENDS, WIPE_ENDS, GET, ENDS], [(0, 6)] * 8)
#: another node than the one that stamped is wiped, while copies may move to it
MOVED = ([PUT, ENDS, WIPE, JOIN], [(0, 6)] * 8)


@LENIENT
@example(ENDED_TWICE)
@given(st.tuples(st.lists(STEP, max_size=24), st.lists(FINAL, min_size=8, max_size=8)))
def test_stale_reads_agree_whatever_moves_and_forgets(program) -> None:
    ops = ran(program)
    found, counts, _ = Promises(ops, PRIMARIES).coverage()
    judged = verdict("coverage", ops, STRICT)
    assert named(judged) == found
    assert judged.counts() == judged.details["counts"] == counts


WORTH = st.lists(
    st.sampled_from([None, *((n, node) for n in (1, 2) for node in (None, "n1", "n2"))]),
    min_size=1,
    max_size=6,
)


@LENIENT
@example(MOVED, [(1, "n2")])
@given(st.tuples(st.lists(STEP, max_size=24), st.lists(FINAL, min_size=8, max_size=8)), WORTH)
def test_lost_writes_and_resurrections_agree_whatever_forgets(program, claims) -> None:
    ops = ran(program)
    for number, op in enumerate(op for op in ops if op.type == "ok" and op.f in ("put", "delete")):
        claim = claims[number % len(claims)]
        if claim is not None:
            replicas, coordinator = claim
            op.worth = {"replicas": replicas, "coordinator": coordinator}
            if coordinator is None:
                del op.worth["coordinator"]
    judged = verdict("final", ops, STRICT)
    assert named(judged) == Promises(ops, PRIMARIES).at_the_end()
