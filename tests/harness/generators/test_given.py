"""Given operations come at their times, each client's in order, with the contexts of others."""

from __future__ import annotations

import msgspec
from dynamesis.checkers.history.op import Op
from dynamesis.harness.generators.given import Given, given
from dynamesis.harness.generators.simulate import LATENCY, simulate
from dynamesis.harness.generators.threads import clients


def _get(at: int, client: int, key: str = "k") -> Given:
    return Given(at, client, Op(f="get", key=key))


def _put(at: int, client: int, basis: int | None = None) -> Given:
    return Given(at, client, Op(f="put", key="k", id=f"{client}.{at}", basis=None), basis)


def _done(op: Op) -> Op:
    return msgspec.structs.replace(op, type="ok", time=op.time + LATENCY)


def _refused(op: Op) -> Op:
    return msgspec.structs.replace(op, type="fail", time=op.time + LATENCY)


def _history(*items: Given, complete: object = _done) -> list[Op]:
    return simulate(clients(given(items)), complete)  # type: ignore[arg-type]


def test_each_comes_at_its_time_and_from_its_client() -> None:
    history = _history(_get(500, 1), _get(100, 0), _put(300, 1))
    begun = [(op.time, op.process, op.f) for op in history if op.type == "invoke"]
    assert begun == [(100, 0, "get"), (300, 1, "put"), (500, 1, "get")]


def test_a_busy_client_is_waited_for_and_keeps_no_other_back() -> None:
    history = _history(_get(100, 0), _get(102, 0, "x"), _get(103, 1, "y"))
    begun = [(op.time, op.key) for op in history if op.type == "invoke"]
    assert begun == [(100, "k"), (103, "y"), (100 + LATENCY, "x")]


def test_a_write_carries_the_context_of_the_completion_of_another() -> None:
    history = _history(_get(100, 0), _put(300, 0, basis=0), _put(400, 1))
    writes = [op for op in history if op.type == "invoke" and op.f == "put"]
    assert [op.basis for op in writes] == [1, None]
    assert history[1].type == "ok"


def test_without_an_answer_there_is_no_context() -> None:
    history = _history(_get(100, 0), _put(300, 0, basis=0), complete=_refused)
    assert [op.basis for op in history if op.f == "put" and op.type == "invoke"] == [None]


def test_a_client_continues_under_another_number_when_an_outcome_is_unknown() -> None:
    def unknown(op: Op) -> Op:
        return msgspec.structs.replace(op, type="info", time=op.time + LATENCY)

    history = _history(_get(100, 0), _get(200, 0), complete=unknown)
    assert [op.process for op in history if op.type == "invoke"] == [0, 2]
