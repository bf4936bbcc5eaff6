"""impossible-ack and unavailable agree with brute force on random faults and answers."""

from __future__ import annotations

import pytest
from dynamesis.checkers.dynamo.quorum import check_ledger
from dynamesis.checkers.graph.run import Run
from dynamesis.checkers.history.history import History, Op, OpError, Sibling
from dynamesis.checkers.history.wellformed import first_problem
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from oracle_ledger import Ledger
from programs import KEYS, NODES, PRIMARIES, TEST

from tests.examples import oracle_examples

EXAMPLES = oracle_examples(60)
pytestmark = pytest.mark.timeout(120 + EXAMPLES // 2)
LENIENT = settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))

FAULTS = ("kill", "pause", "cut.halves", "cut.flapping", "disk", "load", "clock")
#: how an operation may end without success, and whether it certainly had no effect
CODES = (
    ("write-quorum", True),
    ("write-quorum", False),
    ("overloaded", True),
    ("not-ready", True),
    ("storage-write", False),
    ("storage-read", True),
    ("unreachable", True),
    ("disconnected", False),
    ("unknown-code", True),
)
SHOWN = [Sibling("unwritten", 1)]
GROUPS = ([["n1"], ["n2", "n3"]], [["n2"], ["n3"]], [["n1", "n3"], ["n2"]])

#: (actor, what, key, node, claims, ms that pass): actor 0-2 are clients, 3-5 faults
STEP = st.tuples(
    st.integers(0, 5),
    st.integers(0, 9),
    st.integers(0, 1),
    st.integers(0, 3),
    st.integers(0, 80),
    st.sampled_from([1, 1, 1, 499, 2000, 5000]),
)
#: where copies are kept, and that they may be acknowledged before they are there
DISK, BUFFERED = {"storage": "lmdb"}, {"durability": "buffered"}
#: a final read: key, how it ends (0: ok), and ms that pass
FINAL = st.tuples(st.integers(0, 1), st.integers(0, 12), st.sampled_from([1, 600, 5000]))
FINALS = st.tuples(st.booleans(), st.lists(FINAL, max_size=6))
PROGRAMS = st.tuples(
    st.lists(STEP, max_size=30), st.booleans(), st.integers(1, 2), st.integers(1, 3),
    st.none() | FINALS,
    st.sampled_from([{}, DISK, {"storage": "memory"}, DISK | {"params": BUFFERED}]),
)  # fmt: skip


class Interpreter:
    """Interprets a program."""

    def __init__(self) -> None:
        self.ops: list[Op] = []
        self.now = 0
        self.open: dict[int, Op] = {}
        self.process = [0, 1, 2]
        self.faults: dict[int, tuple[int, str, int]] = {}
        self.at_work: int | None = None

    def event(self, **fields) -> Op:
        self.ops.append(Op(time=self.now * 1_000_000, **fields))
        return self.ops[-1]

    def step(self, actor: int, what: int, key: int, node: int, claims: int, ms: int) -> None:
        self.now += ms
        if actor >= 3:
            self.trouble(actor, what, node)
        elif self.process[actor] not in self.open:
            self.invoke(self.process[actor], what, KEYS[key], node, claims)
        else:
            self.complete(actor, what, node, claims)

    def invoke(self, process: int, what: int, key: str, node: int, asks: int) -> None:
        put = {"id": f"w{len(self.ops)}", "value": 1, "basis": None} if what % 2 else {}
        f = "put" if what % 2 else "get"
        asked = NODES[node] if node < 3 else None
        self.open[process] = self.event(
            process=process, f=f, key=key, node=asked, options=_options(asks), **put
        )

    def complete(self, actor: int, what: int, node: int, claims: int) -> None:
        op = self.open.pop(self.process[actor])
        end = {"process": op.process, "f": op.f, "key": op.key, "id": op.id, "node": op.node}
        if what < 2:
            error = OpError("timeout", False)
            self.event(type="info", error=error, **end)
            self.process[actor] += 3
        elif what < 4:
            code, definite = CODES[(claims + what) % len(CODES)]
            unknown = not definite and op.f == "put"
            error = OpError(code, not unknown)
            self.event(type="info" if unknown else "fail", error=error, **end)
            self.process[actor] += 3 * unknown
        else:
            names = ("replicas", "primaries", "durable", "fallbacks")
            worth = dict(zip(names, _digits(claims), strict=True))
            if what > 7 and node < 3:
                worth["coordinator"] = NODES[node]
            shown = {"siblings": SHOWN if claims % 2 else []} if op.f == "get" else {}
            self.event(type="ok", worth=worth if what > 5 else None, **end, **shown)

    def trouble(self, fault: int, what: int, node: int) -> None:
        """The next event in the life of a fault: beginning, begun, bitten, ending, ended; of
        of some the beginning is missing. The nemesis does nothing else while it begins or
        ends one."""
        if self.at_work not in (None, fault):
            return
        stage, kind, hit = self.faults.get(fault, (0, FAULTS[(what + fault) % len(FAULTS)], node))
        result = {"grudge": GROUPS[hit % 3]} if "cut" in kind else {"nodes": [NODES[hit % 3]]}
        immediately = stage == 0 and what == 9
        if stage < 5:
            f, value = (
                (f"start-{kind}", result),
                (f"start-{kind}", result),
                ("evidence", {"bit": what > 1}),
                (f"stop-{kind}", {}),
                (f"stop-{kind}", {}),
            )[stage]
            how = "invoke" if stage in (0, 3) and not immediately else "info"
            error = OpError("nemesis-failed", False) if stage == 1 and what == 0 else None
            value = {"fault": fault, **value}
            self.event(process="nemesis", type=how, f=f, value=value, error=error)
        self.at_work = fault if stage in (0, 3) and not immediately else None
        self.faults[fault] = (stage + 1 + immediately, kind, hit)

    def finish(self, healed: bool, finals) -> None:
        """Heals, and reads each of these keys once."""
        for value in ("heal", "quiesce", "final"):
            self.event(type="info", process="harness", f="phase", value=value)
            if value == "heal" and not healed:
                self.event(type="info", process="harness", f="heal-failed", value="n2")
        for number, (key, how, ms) in enumerate(finals):
            op = {"process": 90 + number, "f": "get", "key": KEYS[key]}
            self.event(**op)
            self.now += ms
            code, _ = ("", True) if not how else (*CODES, ("timeout", False))[how % 10]
            if how:
                self.event(type="fail", error=OpError(code, True), node="n1", **op)
            else:
                self.event(type="ok", siblings=SHOWN, node="n1", **op)


def _options(asks: int) -> dict[str, object] | None:
    """What an operation asks for itself, sense or nonsense."""
    numbers = (asks // 3 % 4, asks % 4, asks // 5 % 3, asks // 7 % 4)
    names = (("n",), ("r", "w"), ("pr", "pw"), ("dw",))
    options: dict[str, object] = {}
    for number, alike in zip(numbers, names, strict=True):
        options |= dict.fromkeys(alike, number) if number else {}
    options |= {"timeout": 0.5} if asks % 7 == 1 else {}
    options |= {"sloppy": asks % 2 == 1} if asks % 5 == 2 else {}
    return options if options and asks < 60 else None


def _digits(number: int) -> list[int]:
    return [1 + number % 3, number // 3 % 3, number // 9 % 4, number // 36 % 2]


def run(steps, finals) -> list[Op]:
    running = Interpreter()
    for step in steps:
        running.step(*step)
    if finals is not None:
        running.finish(*finals)
    return running.ops


@LENIENT
@given(PROGRAMS)
def test_the_ledger_agrees(program) -> None:
    steps, sloppy, r, w, finals, kept = program
    w = w if sloppy else min(w, TEST["n"])
    test = {**TEST, "nodes": list(NODES), "r": r, "w": w, "sloppy": sloppy, "grace": 5.0}
    test |= kept
    ops = run(steps, finals)
    history = History.of(ops)
    assert first_problem(history) is None
    result = check_ledger(Run(history, test))
    oracle = Ledger(ops, test, PRIMARIES)
    unread = oracle.unread()
    counted = {row for rows in unread.values() for row in rows}
    by_name = {
        "impossible-ack": oracle.impossible(),
        "unavailable": oracle.unavailable() - counted,
    }
    of_keys = {a.key: a for a in result.anomalies if "codes" in a.data}
    assert {key: counted & set(a.ops) for key, a in of_keys.items()} == unread
    for name, rows in by_name.items():
        single = [a for a in result.anomalies if a.name == name and "codes" not in a.data]
        assert {a.ops[-1] for a in single} == rows, name
