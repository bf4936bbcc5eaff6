"""Hand-made event logs beside hand-made histories, for the checkers that read them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from dynamesis.checkers.history.history import History, Op, Sibling
from dynamesis.checkers.logs.logs import Event, Logs

NODES = ("n1", "n2", "n3", "n4")
#: one partition, so that every key has the first three nodes as primaries
RING = {"partitions": 1, "owners": ["n1"], "n": 3}
FOUR = {"partitions": 4, "owners": list(NODES), "n": 3}
TEST: dict[str, Any] = {"nodes": list(NODES), "n": 3, "r": 2, "w": 2, "ring": FOUR}
#: ns of the logs' clock at which histories begin
BEGAN = 1_000_000_000_000
SECOND = 1_000_000_000


def line(at: float, node: str, event: str, **fields: Any) -> Event:
    """One line, `at` seconds after the history began."""
    return {"mono": BEGAN + int(at * SECOND), "node": node, "event": event, **fields}


def logs(*lines: Event) -> Logs:
    """The logs in order of time; every node has a first line and a last."""
    ends = [line(at, node, "ready" if at else "start") for node in NODES for at in (0, 100)]
    return Logs.of(sorted([*ends, *lines], key=lambda each: each["mono"]), BEGAN)


def op(at: float, **fields: Any) -> Op:
    return Op(time=int(at * SECOND), **fields)


def put(id: str, begun: float, ended: float, key: str = "k", **end: Any) -> list[Op]:
    """An acknowledged put of a process of its own."""
    process = int(id.split(".")[0])
    return [
        op(begun, process=process, f="put", key=key, id=id, value=1, basis=end.pop("basis", None)),
        op(ended, type="ok", process=process, f="put", key=key, id=id, node="n1", **end),
    ]


def get(begun: float, ended: float, *ids: str, process: int = 90, node: str = "n2") -> list[Op]:
    shown = [Sibling(id, 1) for id in ids]
    return [
        op(begun, process=process, f="get", key="k"),
        op(ended, type="ok", process=process, f="get", key="k", node=node, siblings=shown),
    ]


def dump(at: float, node: str, *ids: str) -> list[Op]:
    shown = [Sibling(id, 1) for id in ids]
    given = {"process": "harness", "f": "dump", "key": "k", "replica": node}
    return [op(at, **given), op(at, type="ok", **given, siblings=shown)]


def phase(at: float, name: str) -> Op:
    return op(at, type="info", process="harness", f="phase", value=name)


def quiet(at: float) -> Op:
    return op(at, type="info", process="harness", f="quiesce", value={"quiet": True})


def fault(number: int, kind: str, start: float, stop: float, /, **value: Any) -> list[Op]:
    """A fault that took effect."""
    given = {"fault": number, **value}
    return [
        op(start, process="nemesis", f=f"start-{kind}", value=given),
        op(start, type="info", process="nemesis", f=f"start-{kind}", value=given),
        op(start, type="info", process="nemesis", f="evidence", value={"fault": number, "bit": True,
           "detail": {"membership": {"settled": True}}}),
        op(stop, type="info", process="nemesis", f=f"stop-{kind}", value={"fault": number}),
    ]  # fmt: skip


def history(*ops: Iterable[Op] | Op) -> History:
    """A history in order of time, with all phases around it."""
    each: list[Op] = [phase(0, "load"), phase(30, "heal"), phase(40, "quiesce"), quiet(50)]
    each += [phase(60, "final"), phase(90, "stop")]
    for some in ops:
        each += [some] if isinstance(some, Op) else list(some)
    return History.of(sorted(each, key=lambda one: one.time))
