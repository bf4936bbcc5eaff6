"""Small random histories from small random programs, for the checkers and the oracle.

A program is a list of tuples of small numbers; running it gives a well-formed history of
any honesty, since what reads show is drawn like everything else. So Hypothesis can shrink
a disagreement to a few events."""

from __future__ import annotations

from hashlib import md5

from dynamesis.checkers.history.history import Op, Sibling
from hypothesis import strategies as st

KEYS = ("a", "b")
NODES = ("n1", "n2", "n3")
#: six partitions; a key's primaries are the owners of its own and the next one
TEST = {"n": 2, "ring": {"partitions": 6, "owners": [*NODES, *NODES]}}
_PLACE = {key: int(md5(key.encode()).hexdigest(), 16) * 6 // 2**128 for key in KEYS}
PRIMARIES = {key: (NODES[i % 3], NODES[(i + 1) % 3]) for key, i in _PLACE.items()}

#: (process, what, key, bits, twist)
STEP = st.tuples(
    st.integers(0, 2), st.integers(0, 9), st.integers(0, 1), st.integers(0, 63), st.integers(0, 15)
)
#: per final read: bits, twist
FINAL = st.tuples(st.integers(0, 63), st.integers(0, 15))
PROGRAMS = st.tuples(
    st.lists(STEP, max_size=24), st.lists(FINAL, min_size=8, max_size=8), st.booleans()
)


class Run:
    """Interprets a program."""

    def __init__(self) -> None:
        self.ops: list[Op] = []
        self.open: dict[int | str, Op] = {}
        self.process = {0: 0, 1: 1, 2: 2}
        self.written: list[Op] = []
        self.contexts: dict[str, list[int]] = {key: [] for key in KEYS}

    def event(self, **fields) -> Op:
        op = Op(index=len(self.ops), time=len(self.ops) * 1000, **fields)
        self.ops.append(op)
        return op

    def step(self, slot: int, what: int, key: int, bits: int, twist: int) -> None:
        process = self.process[slot]
        if process in self.open:
            self.complete(slot, process, what, bits, twist)
        else:
            self.invoke(process, what, KEYS[key], bits)

    def invoke(self, process: int, what: int, key: str, bits: int) -> None:
        if what < 4:
            self.open[process] = self.event(process=process, f="get", key=key)
            return
        given = self.contexts[key if bits % 16 else KEYS[0]]
        basis = given[-1 - bits % min(3, len(given))] if given and what < 8 else None
        op = self.event(
            process=process,
            f="delete" if what in (5, 9) else "put",
            key=key,
            id=f"w{len(self.written)}",
            value=None if what in (5, 9) else len(self.written) % 3,
            basis=basis,
        )
        self.written.append(op)
        self.open[process] = op

    def complete(self, slot: int, process: int, what: int, bits: int, twist: int) -> None:
        op = self.open.pop(process)
        end = {"process": process, "f": op.f, "key": op.key, "id": op.id}
        if what == 0:
            self.event(type="info", **end)
            self.process[slot] = process + 3
        elif what == 1:
            self.event(type="fail", **end)
        else:
            shown = self.shown(op.key or "", bits, twist) if op.f == "get" else None
            if op.f != "get" and twist >= 12:
                shown = self.body(op, bits, twist)
            done = self.event(type="ok", **end, siblings=shown)
            self.contexts[op.key or ""].append(done.index)

    def body(self, op: Op, bits: int, twist: int) -> list[Sibling]:
        """What a write's answer shows: as a rule, itself too."""
        siblings = self.shown(op.key or "", bits, twist - 12)
        if twist != 12 and op.id not in {s.id for s in siblings}:
            siblings.append(Sibling(op.id or "", op.value, op.f == "delete"))
        return siblings

    def shown(self, key: str, bits: int, twist: int) -> list[Sibling]:
        """Some of the latest versions of the key, by bit; the twist spoils one now and then."""
        of_key = [op for op in self.written if op.key == key or twist == 1][-6:]
        chosen = [op for i, op in enumerate(of_key) if bits >> i & 1]
        siblings = [Sibling(op.id or "", op.value, op.f == "delete") for op in chosen]
        if twist == 2:
            siblings.append(Sibling(f"w{len(self.written)}", 0))
        if twist == 3 and siblings:
            siblings.append(siblings[0])
        if twist == 4 and siblings:
            siblings[0] = Sibling(siblings[0].id, 7, siblings[0].deleted)
        if twist == 5 and siblings:
            siblings[0] = Sibling(siblings[0].id, siblings[0].value, not siblings[0].deleted)
        return siblings

    def finish(self, finals: list[tuple[int, int]], gets: bool) -> None:
        for phase in ("quiesce", "final"):
            if phase == "final":
                self.event(type="info", process="harness", f="quiesce", value={"quiet": True})
            self.event(type="info", process="harness", f="phase", value=phase)
        draw = iter(finals)
        for key in KEYS:
            same = next(draw)
            for node in NODES:
                mine = PRIMARIES[key]
                bits, twist = next(draw) if node == "n2" else same if node in mine else (0, 0)
                dump = {"process": "harness", "f": "dump", "key": key, "replica": node}
                self.event(**dump)
                self.event(type="ok", **dump, siblings=self.shown(key, bits, twist))
            if gets:
                bits, twist = next(draw)
                self.event(process=99, f="get", key=key)
                siblings = self.shown(key, bits, twist)
                self.event(type="ok", process=99, f="get", key=key, siblings=siblings)


def run(program) -> list[Op]:
    steps, finals, gets = program
    running = Run()
    for step in steps:
        running.step(*step)
    running.finish(finals, gets)
    return running.ops
