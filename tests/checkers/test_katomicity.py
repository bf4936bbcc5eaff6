"""How stale a register is: cases in which each step of the search for k = 2 matters."""

from __future__ import annotations

import numpy as np
import pytest
from dynamesis.checkers.graph.causality import NEVER
from dynamesis.checkers.history.history import History, Op
from dynamesis.checkers.models.katomicity import Register, smallest_delta
from dynamesis.checkers.models.linearizable_register import check_register
from dynamesis.checkers.verdict import Verdict

#: name -> (operations as "w1" or "r1" with begin and end, whether two writes are enough)
CASES = {
    "the last but one": ("w1 0 1, w2 2 3, r1 4 5", True),
    "the last but two": ("w1 0 1, w2 2 3, w3 4 5, r1 6 7", False),
    "the initial value": ("w1 0 1, r- 2 3", True),
    "the initial value, twice overwritten": ("w1 0 1, w2 2 3, r- 4 5", False),
    "two of three concurrent": ("w1 0 12, w2 1 11, w3 2 10, r2 13 14, r3 15 16", True),
    "all of three concurrent": ("w1 0 12, w2 1 11, w3 2 10, r1 17 18, r2 13 14, r3 15 16", False),
    "two concurrent, a third after": ("w1 0 3, w2 1 2, w3 4 5, r1 6 7, r2 8 9", False),
    "a write read before it ended": ("w1 0 20, r1 1 2, w2 3 4, w3 5 6, r1 7 8", False),
    "a write not read before it ended": ("w1 0 20, w2 3 4, w3 5 6, r1 7 8", True),
    "a forced chain": ("w1 0 1, w2 2 3, r1 4 5, w3 6 7, r2 8 9, w4 10 11, r3 12 13", True),
    "a chain with a gap": ("w1 0 1, w2 2 3, r1 4 5, w3 6 7, w4 10 11, r2 12 13", False),
    "an open write, read late": ("w1 0 -, w2 1 2, w3 3 4, r1 5 6, r3 7 8", True),
}  # fmt: skip


def register(text: str) -> Register | None:
    words = [operation.split() for operation in text.split(",")]
    write = np.array([what[0] == "w" for what, _, _ in words])
    value = np.array([-1 if what[1:] == "-" else int(what[1:]) for what, _, _ in words])
    begin = np.array([int(begin) for _, begin, _ in words])
    end = np.array([NEVER if end == "-" else int(end) for _, _, end in words])
    return Register.of(write, value, begin, end)


@pytest.mark.parametrize("name", CASES)
def test_two_atomic(name: str) -> None:
    text, enough = CASES[name]
    found = register(text)
    assert found is not None
    assert found.is_two_atomic() is enough


def test_what_no_k_explains() -> None:
    assert register("w1 0 1, r2 2 3") is None
    assert register("r1 0 1, w1 2 3") is None


def test_patience_runs_out_and_is_renewed() -> None:
    """The write that ends last fails only after a long chain; the right one is tried meanwhile."""
    chain = [
        f"w{i} {10 * i} {10 * i + 1}, r{i - 1} {10 * i + 2} {10 * i + 3}" for i in range(2, 300)
    ]
    text = "w1 0 1, " + ", ".join(chain)
    one, other = (
        register(f"{text}, w300 3000 3003, w301 3001 3002, r300 3004 3005"),
        register(f"{text}, w300 3000 3003, w301 3001 3002, r299 3004 3005"),
    )
    assert one is not None
    assert other is not None
    assert one.is_two_atomic()
    assert not other.is_two_atomic()


def test_staleness_is_a_bound_from_below() -> None:
    found = register("w1 0 1, w2 2 3, w3 4 5, w4 6 20, r1 7 8")
    assert found is not None
    assert found.certain_staleness() == 3


def test_delta_is_found_by_bisection() -> None:
    assert smallest_delta(lambda ns: ns >= 1234, 10**6) == 1234
    assert smallest_delta(lambda ns: True, 10**6) == 0


@pytest.mark.parametrize(
    ("stale", "distance"),
    [
        (1, {"delta_ms": 1.0, "k": 2}),
        (2, {"delta_ms": 3.0, "k_at_least": 3}),
    ],
)
def test_the_verdict_reports_the_distance(stale: int, distance: dict[str, float]) -> None:
    ops = [
        Op(type=end, process=0, f="write", key="x", value=value)
        for value in range(3)
        for end in ("invoke", "ok")
    ]
    ops += [Op(process=1, f="read", key="x")]
    ops += [Op(type="ok", process=1, f="read", key="x", value=2 - stale)]
    verdict = check_register(History.of(ops))
    assert verdict.verdict is Verdict.INVALID
    assert verdict.details["distance"] == {"x": distance}
