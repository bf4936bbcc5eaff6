"""The checkers' ring, written a second time, against the node's."""

from __future__ import annotations

from typing import Any

from dynamesis.checkers.dynamo.ring import CheckedRing
from dynamesis.cluster.core.ring.ring import Ring as NodesRing
from hypothesis import given
from hypothesis import strategies as st

NODES = [f"n{i}" for i in range(1, 7)]
ZONES = st.dictionaries(st.sampled_from(NODES), st.sampled_from(["a", "b", "c"]), min_size=1)


@st.composite
def rings(draw: st.DrawFn) -> tuple[dict[str, Any], int]:
    """A node's view of its ring, with or without zones, and N."""
    n = draw(st.integers(1, 4))
    ring: dict[str, Any] = {"owners": draw(st.lists(st.sampled_from(NODES), min_size=1))}
    if draw(st.booleans()):
        zones = draw(ZONES)
        named = sorted(set(zones.values()))
        cuts = sorted(draw(st.lists(st.integers(0, n), min_size=len(named), max_size=len(named))))
        shares = [high - low for low, high in zip([0, *cuts], [*cuts[:-1], n], strict=False)]
        ring["zones"] = zones
        ring["zone_replicas"] = draw(st.sampled_from([{}, dict(zip(named, shares, strict=True))]))
    return ring, n


@given(rings(), st.text())
def test_both_rings_place_every_key_alike(reported: tuple[dict[str, Any], int], key: str) -> None:
    ring, n = reported
    ours = CheckedRing.of_node(ring, n)
    nodes = NodesRing(ring["owners"], n, ring.get("zones"), ring.get("zone_replicas"))
    partition = nodes.partition(key.encode())
    assert ours.partition(key) == partition
    for p in range(len(ring["owners"])):
        assert ours.holders(p) == nodes.primaries(p)


def test_zones_change_the_holders_of_a_key() -> None:
    owners = ["n1", "n2", "n3", "n4"] * 4
    zones = {"n1": "east", "n2": "east", "n3": "east", "n4": "west"}
    test = {"n": 3, "ring": {"owners": owners, "n": 3, "zones": zones}}
    plain, zoned = CheckedRing(tuple(owners), 3), CheckedRing.of(test)
    assert zoned is not None
    assert plain.holders(0) == ("n1", "n2", "n3")
    assert zoned.holders(0) == ("n1", "n2", "n4")
