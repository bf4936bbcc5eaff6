"""Each workload is valid on a correct store, and shows on a wrong one what it is there
to catch. Seeds are fixed: what a seed catches once it always catches."""

import pytest
from dynamesis.checkers.verdict import Verdict
from dynamesis.harness.generators import Rng
from dynamesis.workloads import WORKLOADS
from play import judge, play
from stores import (
    AltersValues,
    ContextOverclaims,
    CrossesKeys,
    CutsValues,
    DatedByWall,
    ForeignContexts,
    HardDelete,
    LastArrivalStays,
    LastWriterWins,
    NeverReplaces,
    NoRepair,
    OverwritesReplicas,
    StaleReads,
    Store,
    StoresRefused,
    TombstonesSwallow,
    right_store,
)

from tests.examples import rest_at_night

SEEDS = (1, 2, 3)

CAUGHT = [
    ("cart", LastWriterWins, "lost-item"),
    ("cart", NeverReplaces, "false-sibling"),
    ("cart", ContextOverclaims, "lost-item"),
    ("cart", OverwritesReplicas, "lost-item"),
    ("cart", NoRepair, "divergence"),
    ("cart", AltersValues, "altered-value"),
    ("cart", CrossesKeys, "crossed-key"),
    ("register", LastWriterWins, "lost-write"),
    ("register", NeverReplaces, "false-sibling"),
    ("register", ContextOverclaims, "lost-write"),
    ("register", OverwritesReplicas, "lost-write"),
    ("register", NoRepair, "divergence"),
    ("register", ForeignContexts, "lost-write"),
    ("register", ForeignContexts, "foreign-context"),
    ("register", AltersValues, "altered-value"),
    ("register", CrossesKeys, "crossed-key"),
    ("set", LastWriterWins, "lost-element"),
    ("set", OverwritesReplicas, "lost-element"),
    ("counter", LastWriterWins, "lost-count"),
    ("counter", CrossesKeys, "phantom-count"),
    ("delete", HardDelete, "resurrection"),
    ("delete", TombstonesSwallow, "lost-write"),
    ("delete", NoRepair, "divergence"),
    ("sessions", StaleReads, "read-your-writes"),
    ("sessions", StaleReads, "stale-read"),
    ("blind", LastWriterWins, "lost-write"),
    ("blind", NeverReplaces, "false-sibling"),
    ("hot-key", LastWriterWins, "lost-write"),
    ("hot-key", OverwritesReplicas, "lost-write"),
    ("large-values", CutsValues, "altered-value"),
    ("large-values", StoresRefused, "aborted-read"),
    ("lww", DatedByWall, "lost-write"),
    ("lww", DatedByWall, "misdated"),
    ("lww", LastArrivalStays, "lost-write"),
    ("lww", NoRepair, "divergence"),
    ("lww", Store, "false-sibling"),
    ("append", CrossesKeys, "incompatible-order"),
    ("append", StoresRefused, "G1a"),
    ("append", ContextOverclaims, "lost-append"),
    ("bulk", NoRepair, "divergence"),
    ("bulk", LastWriterWins, "lost-write"),
    ("crowded", NoRepair, "divergence"),
]


@pytest.mark.parametrize("seed", rest_at_night(SEEDS, 2))
@pytest.mark.parametrize("name", WORKLOADS)
def test_a_correct_store_is_valid(name, seed):
    results = judge(name, play(name, right_store(WORKLOADS[name], seed), seed))
    assert results.verdict is Verdict.VALID, (results.counts(), results.reasons())


@pytest.mark.parametrize("seed", rest_at_night(SEEDS[:2], 1))
@pytest.mark.parametrize(("name", "store", "anomaly"), CAUGHT)
def test_a_wrong_store_is_caught(name, store, anomaly, seed):
    results = judge(name, play(name, store(Rng(seed)), seed))
    assert results.verdict is Verdict.INVALID
    assert anomaly in results.counts()


def test_every_workload_catches_something():
    assert {name for name, _, _ in CAUGHT} == set(WORKLOADS)
