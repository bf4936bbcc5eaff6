"""What nodes report: decoded once, and written as it came."""

from __future__ import annotations

import json
from typing import Any

import pytest
from dynamesis.harness.nemesis.targets import placed
from dynamesis.harness.targets.reports import (
    SIZES,
    DumpedSibling,
    DumpRow,
    MembershipView,
    NodeStatus,
    PeerView,
    RingView,
    dump_rows,
)

MEMBERSHIP = {
    "version": 3,
    "members": ["n1", "n2"],
    "settled": False,
    "owned": {"n1": 32, "n2": 32},
    "former": ["n3"],
}
PEER = {"up": True, "suspected": False, "failures": 49, "timeouts": 2}
#: a status as our node gives it, shortened
STATUS: dict[str, Any] = {
    "ready": True,
    "node": "n1",
    "objects": 4,
    "trees": {"complete": True, "rebuilding": False, "rebuilds": 2},
    "damaged": 1,
    "hints": 2,
    "hints_for": {"n2": 2},
    "read_repairs": 5,
    "transfers": 1,
    "moving": [{"partition": 7, "state": "giving up", "waiting_for": ["n2"], "eta": None}],
    "membership": MEMBERSHIP,
    "requests": 3,
    "peers": {"n2": PEER},
    "exchanges": {"n2": {"rounds": 7, "clean": 5, "repaired": 4, "age": 0.03}},
    "disk": {"fault": "none", "bites": {"bit-flip": 15}, "flipped": 0},
    "clock": {"wall": 1795749619100, "between_ns": [18, 19], "offset_ms": 0},
    "unsent": 9,
    "links": {"n2": {"up": True, "connects": 2, "bytes_in": 3806, "bytes_out": 4218}},
}


def test_a_status_is_decoded_and_written_as_it_came() -> None:
    status = NodeStatus.of(STATUS)
    assert (status.hints, status.transfers, status.objects, status.damaged) == (2, 1, 4, 1)
    assert status.sizes == {"requests": 3, "unsent": 9}
    assert status.peers["n2"].failures == 49
    assert status.exchanges["n2"].clean == 5
    assert status.moving[0].waiting_for == ("n2",)
    assert status.disk is not None
    assert status.disk.effects == {"bit-flip": 15}
    assert status.clock is not None
    assert status.clock.between_ns == (18, 19)
    assert status.links is not None
    assert status.links["n2"].bytes_in == 3806
    assert json.dumps(status.as_value()) == json.dumps(STATUS)


def test_the_parts_that_evidence_shows_keep_their_keys() -> None:
    status = NodeStatus.of(STATUS)
    assert status.membership is not None
    assert json.dumps(status.membership.as_value()) == json.dumps(MEMBERSHIP)
    assert json.dumps(status.peers["n2"].as_value()) == json.dumps(PEER)


@pytest.mark.parametrize("without", list(STATUS))
def test_what_a_status_lacks_is_nothing_outstanding(without: str) -> None:
    NodeStatus.of({key: value for key, value in STATUS.items() if key != without})
    bare = NodeStatus.of({})
    assert (bare.hints, bare.transfers, bare.peers, bare.membership) == (0, 0, {}, None)
    nulls = dict.fromkeys(("hints_for", "links", "trees", "membership", "disk", "clock"))
    assert NodeStatus.of({**STATUS, **nulls}).membership is None


def test_a_figure_that_is_not_a_number_is_not_reported() -> None:
    assert NodeStatus.of(dict.fromkeys(SIZES, "many")).sizes == {}
    with pytest.raises(ValueError, match="hints"):
        NodeStatus.of({"hints": "many"})


def test_a_status_that_a_target_makes_itself() -> None:
    status = NodeStatus(hints=2, sizes={"requests": 1}, peers={"n2": PeerView(up=True)})
    written = status.as_value()
    assert written["hints"] == 2
    assert "reported" not in written
    assert "clock" not in written


RING = {"partitions": 2, "owners": ["n1", "n2"], "target": ["n1", "n2"], "members": ["n1", "n2"],
        "version": 1, "n": 2, "r": 1, "w": 2, "sloppy": True, "zones": {"n1": "a", "n2": "b"},
        "zone_replicas": {"a": 1, "b": 1}}  # fmt: skip


def test_a_ring_is_decoded_and_written_as_it_came() -> None:
    ring = RingView.of(RING)
    assert (ring.owners, ring.n, ring.w) == (("n1", "n2"), 2, 2)
    assert json.dumps(ring.as_value()) == json.dumps(RING)
    assert placed(ring).zones == (("n1", "a"), ("n2", "b"))
    assert ring == RingView.of(RING) != RingView.of({**RING, "version": 2})
    with pytest.raises(ValueError, match="owners"):
        RingView.of({"n": 2})


def test_a_ring_that_a_target_makes_itself() -> None:
    ring = RingView(owners=("a", "b"), n=1)
    assert ring.as_value() == {"owners": ["a", "b"], "n": 1}
    assert placed(ring).owners == ("a", "b")


def test_a_dump_may_have_plain_rows_or_values() -> None:
    row = DumpRow(key="k", siblings=(DumpedSibling(value=b"v"),))
    plain = {"key": "k", "siblings": [{"value": b"v", "deleted": False}], "hint_for": None}
    assert dump_rows([row, plain, {**plain, "key": b"k"}]) == [row] * 3
    assert dump_rows([{**plain, "hint_for": "n2"}])[0].hint_for == "n2"
    assert dump_rows([{"key": b"\xff"}]) == [DumpRow(key="\\xff")]
    with pytest.raises(ValueError, match="siblings"):
        dump_rows([{**plain, "siblings": [{"value": 7, "deleted": False}]}])


def test_a_row_of_a_dump_is_written_with_its_values_as_text() -> None:
    row = DumpRow(key="k", hint_for="n2", siblings=(DumpedSibling(value=b"\xff", deleted=True),))
    siblings = [{"value": "\\xff", "deleted": True}]
    assert json.dumps(row.as_value()) == json.dumps(
        {"key": "k", "hint_for": "n2", "siblings": siblings}
    )


def test_a_view_of_the_membership_without_a_word_is_settled() -> None:
    assert MembershipView().settled
