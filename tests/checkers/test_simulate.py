"""A simulated right store is always valid; each way of being wrong is noticed as what it is."""

from __future__ import annotations

import numpy as np
import pytest
from dynamesis.checkers.graph.causality import causality
from dynamesis.checkers.history.history import History
from dynamesis.checkers.models.dynamo import check
from dynamesis.checkers.simulate.simulate import FAULTS, TEST, Store
from dynamesis.checkers.verdict import Results, Verdict


def results(seed: int, **shape) -> Results:
    return check(History.of(Store(seed, **shape).ops()), TEST)


SHAPES = {
    "plain": {},
    "one key, many clients": {"keys": 1, "clients": 12},
    "blind writers": {"blind": 0.7},
    "many deletes": {"deletes": 0.5},
    "nothing is known": {"lost": 0.4, "refused": 0.3},
    "hot key": {"keys": 20, "hot": 0.8},
}


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES.keys())
@pytest.mark.parametrize("seed", range(5))
def test_a_right_store_is_valid(seed: int, shape: dict) -> None:
    judged = results(seed, operations=300, **shape)
    assert (judged.verdict, judged.counts(), judged.reasons()) == (Verdict.VALID, {}, ())


@pytest.mark.parametrize("fault", FAULTS)
def test_a_wrong_store_is_caught_as_what_it_is(fault: str) -> None:
    found: set[str] = set()
    for seed in range(5):
        found |= set(results(seed, operations=200, fault=fault).counts())
    assert FAULTS[fault] in found


def test_a_history_follows_from_its_seed() -> None:
    assert list(Store(7, 50).ops()) == list(Store(7, 50).ops())
    assert list(Store(7, 50).ops()) != list(Store(8, 50).ops())


def test_the_short_search_and_the_sweep_find_the_same_false_siblings() -> None:
    """Reads are searched one by one, or their whole key is swept: it must not matter."""
    for seed in range(10):
        ops = list(Store(seed, 150, keys=1, clients=6, fault="keep-covered").ops())
        order = causality(History.of(ops))
        rows = np.unique(order.owner[order.sibling >= 0])
        searched = order._search(rows)
        assert searched is not None
        assert searched
        swept = {(row, lower) for row, lower, _ in order._sweep(0, rows)}
        assert {(row, lower) for row, lower, _ in searched} == swept
