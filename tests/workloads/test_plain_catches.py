"""Each workload without contexts is valid on a correct store, and shows on a wrong one what it is
there to catch. Seeds are fixed: what a seed catches once it always catches."""

import pytest
from dynamesis.checkers.verdict import Verdict
from dynamesis.workloads.plain import PLAIN
from plain_play import judge, play
from plain_stores import (
    RIGHT,
    AbortsApplied,
    AddsTwice,
    CasWithoutCompare,
    CountsTwice,
    Forked,
    HalfTransfersSeen,
    LateAdds,
    LostAdds,
    LostAppends,
    LostElements,
    LostIncrements,
    LostUpdates,
    LostWrites,
    MadeUpElements,
    MadeUpMessages,
    MadeUpValues,
    OldSnapshots,
    OutOfOrder,
    RefusedCasWrites,
    RepeatedIds,
    StaleReads,
    TakenTwice,
    TornReads,
    WrongEchoes,
)

from tests.examples import rest_at_night

SEEDS = (1, 2, 3)

CAUGHT = [
    ("register", StaleReads, {}, "nonlinearizable"),
    ("register", LostWrites, {}, "nonlinearizable"),
    ("register", CasWithoutCompare, {}, "nonlinearizable"),
    ("register", RefusedCasWrites, {}, "aborted-read"),
    ("register", StaleReads, {"values": "repeated"}, "nonlinearizable"),
    ("register", CasWithoutCompare, {"values": "repeated"}, "nonlinearizable"),
    ("read-write", StaleReads, {}, "nonlinearizable"),
    ("read-write", LostWrites, {}, "nonlinearizable"),
    ("set", LostAdds, {}, "lost-element"),
    ("set", LateAdds, {"stale": "forbidden"}, "stale-read"),
    ("set", MadeUpElements, {}, "phantom"),
    ("set", AddsTwice, {}, "duplicate-elements"),
    ("counter", LostIncrements, {}, "out-of-bounds"),
    ("counter", CountsTwice, {}, "out-of-bounds"),
    ("append", LostAppends, {}, "incompatible-order"),
    ("append", AbortsApplied, {}, "G1a"),
    ("append", OldSnapshots, {}, "G-single-realtime"),
    ("rw", AbortsApplied, {}, "G1a"),
    ("rw", OldSnapshots, {}, "G-single-realtime"),
    ("rw", TornReads, {}, "G-single"),
    ("bank", LostUpdates, {}, "wrong-total"),
    ("bank", HalfTransfersSeen, {}, "wrong-total"),
    ("unique-ids", RepeatedIds, {}, "duplicate-ids"),
    ("long-fork", Forked, {}, "long-fork"),
    ("long-fork", MadeUpValues, {}, "phantom"),
    ("queue", LostElements, {}, "lost"),
    ("queue", TakenTwice, {}, "duplicated"),
    ("queue", MadeUpMessages, {}, "unexpected"),
    ("queue", OutOfOrder, {}, "reordered"),
    ("echo", WrongEchoes, {}, "wrong-echo"),
    ("broadcast", LostAdds, {}, "lost-element"),
    ("broadcast", MadeUpElements, {}, "phantom"),
    ("g-set", LostAdds, {}, "lost-element"),
    ("g-set", AddsTwice, {}, "duplicate-elements"),
    ("g-counter", LostIncrements, {}, "out-of-bounds"),
    ("g-counter", CountsTwice, {}, "out-of-bounds"),
    ("pn-counter", LostIncrements, {"decrements": 0.1}, "out-of-bounds"),
    ("lin-kv", StaleReads, {}, "nonlinearizable"),
    ("txn-list-append", LostAppends, {}, "incompatible-order"),
    ("txn-rw-register", OldSnapshots, {}, "G-single-realtime"),
]

OPTIONS = [
    *((name, {}) for name in PLAIN),
    ("register", {"values": "repeated", "range": 3}),
    ("register", {"cas": 1.0, "reads": 0.3, "per_key": 50}),
    ("set", {"stale": "forbidden"}),
    ("counter", {"decrements": 0.5, "largest": 1000}),
    ("append", {"consistency": "serializable", "per_key": 5}),
    ("rw", {"longest": 8, "distribution": "hot-key"}),
    ("bank", {"accounts": 2}),
    ("long-fork", {"size": 2, "groups": 1, "linger": 0}),
]


@pytest.mark.parametrize("seed", rest_at_night(SEEDS, 1))
@pytest.mark.parametrize(("name", "options"), OPTIONS)
def test_a_correct_plain_store_is_valid(name, options, seed):
    results = judge(name, play(name, RIGHT[name](seed), seed, **options), **options)
    assert results.verdict is Verdict.VALID, (results.counts(), results.reasons())


@pytest.mark.parametrize("seed", rest_at_night(SEEDS[:2], 1))
@pytest.mark.parametrize(("name", "store", "options", "anomaly"), CAUGHT)
def test_a_wrong_plain_store_is_caught(name, store, options, anomaly, seed):
    results = judge(name, play(name, store(seed), seed, **options), **options)
    assert results.verdict is Verdict.INVALID
    assert anomaly in results.counts()


def test_every_plain_workload_catches_something():
    assert {name for name, *_ in CAUGHT} == set(PLAIN)
