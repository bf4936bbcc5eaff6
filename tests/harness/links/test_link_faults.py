from __future__ import annotations

import pytest
from dynamesis.harness.links.faults import (
    Bandwidth,
    BlackHole,
    FaultError,
    Latency,
    RefusedLink,
    Reset,
    make_fault,
    strongest,
)
from dynamesis.harness.links.toxics import KINDS, toxics


def test_black_hole_holds_the_end_back_before_it_drops_the_bytes() -> None:
    chain = [(toxic["type"], toxic["stream"]) for toxic in toxics(BlackHole())]
    assert chain == [
        ("slow_close", "upstream"),
        ("timeout", "upstream"),
        ("slow_close", "downstream"),
        ("timeout", "downstream"),
    ]


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_every_fault_makes_toxics_of_toxicity_one(kind: str) -> None:
    assert all(toxic["toxicity"] == 1 for toxic in toxics(make_fault(kind)))


@pytest.mark.parametrize(
    ("kind", "fields", "complaint"),
    [
        ("narow", {}, "no link fault is called 'narow'; there are: refused, reset, black-hole"),
        ("narrow", {"ratee": 5}, "narrow has no ratee; it has: rate_kbps, direction"),
        ("narrow", {"rate_kbps": 0}, "rate_kbps is 0"),
        ("narrow", {"rate_kbps": True}, "rate_kbps is True"),
        ("slow", {"latency_ms": 10, "jitter_ms": 11}, "from 0 to 10"),
        ("torn", {"piece_bytes": 8, "vary_bytes": 8}, "from 0 to 7"),
        ("refused", {"direction": "both"}, "it has: nothing to set"),
        ("frames", {"drop": 101}, "drop is 101"),
        ("frames", {"drop": 60, "reorder": 60}, "together are over 100 percent"),
    ],
)
def test_a_wrong_fault_is_refused_in_words(
    kind: str, fields: dict[str, int], complaint: str
) -> None:
    with pytest.raises(FaultError) as error:
        make_fault(kind, **fields)
    assert complaint in str(error.value)


def test_the_strongest_fault_wins() -> None:
    assert strongest([Latency(), RefusedLink(), BlackHole()]) == RefusedLink()
    assert strongest([Bandwidth(), Latency()]) == Bandwidth()
    assert strongest([Latency(latency_ms=7)]) == Latency(latency_ms=7)


def test_the_same_fault_in_either_direction_is_one_in_both() -> None:
    assert strongest([BlackHole("upstream"), BlackHole("downstream")]) == BlackHole("both")
    both = [BlackHole("upstream"), Reset("downstream")]
    assert strongest(both) == BlackHole("upstream")
