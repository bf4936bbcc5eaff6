"""A node serves no partition before it has all of it: by logs made by hand."""

from __future__ import annotations

from typing import Any

import pytest
from dynamesis.checkers.dynamo.ring import CheckedRing
from dynamesis.checkers.graph.run import Run
from dynamesis.checkers.logs.logs import Event
from dynamesis.checkers.models.log_checkers import check_logs
from dynamesis.checkers.verdict import CheckerResult, Verdict
from log_lines import NODES, TEST, fault, history, line, logs, put

OWNERS = list(NODES)
#: n5 takes n1's place
TARGET = ["n5", "n2", "n3", "n4"]
NOW, THEN = CheckedRing(tuple(OWNERS), 3), CheckedRing(tuple(TARGET), 3)
#: a partition that n5 is to fetch, and its sources
PARTITION = 0
SOURCES = NOW.holders(PARTITION)


def layout(at: float, node: str, version: int, moving: bool, **more: Any) -> Event:
    fields = {"version": version, "members": TARGET, "gone": [], **more}
    if moving:
        return line(at, node, "layout", owners=OWNERS, target=TARGET, **fields)
    return line(at, node, "layout", owners=TARGET, **fields)


def exchange(at: float, peer: str, version: int = 2, partition: int = PARTITION) -> Event:
    fields = {"layout": version, "partitions": [partition], "repaired": 1}
    return line(at, "n5", "exchange", peer=peer, **fields)


def gained(at: float, version: int, *partitions: int) -> Event:
    return line(at, "n5", "serves", layout=version, gained=list(partitions), lost=[])


BEGIN = [line(0.1, "n5", "start"), layout(1, "n1", 2, True), layout(1.1, "n5", 2, True)]


def verdict(*lines: Event) -> CheckerResult:
    change = fault(1, "membership", 0.9, 9, joins=["n5"], leaves=["n1"])
    h = history(put("1.1", 0.2, 0.3), change)
    test = {**TEST, "ring": {**TEST["ring"], "owners": TARGET}}
    return check_logs(Run(h, test), logs(*BEGIN, *lines)).verdicts["ownership"]


def exchanged(*peers: str) -> list[Event]:
    return [exchange(2 + i / 10, peer) for i, peer in enumerate(peers)]


CLAIMS = [
    line(3, "n5", "transfer-ready", partition=PARTITION, layout=2, sources=[]),
    line(3, "n5", "ready-for", partitions=[PARTITION], layout=2),
    gained(3, 2, PARTITION),
    gained(3, 3, PARTITION),
]


@pytest.mark.parametrize("claim", CLAIMS)
def test_a_node_that_reached_all_owners_may_log_it(claim: Event) -> None:
    fields = verdict(*exchanged(*SOURCES), layout(2.9, "n1", 3, False), claim)
    assert (fields.verdict, fields.details) == (Verdict.VALID, {"claims": 1})


@pytest.mark.parametrize("claim", CLAIMS)
@pytest.mark.parametrize("lacking", SOURCES)
def test_a_node_that_missed_one_of_them_owns_too_early(claim: Event, lacking: str) -> None:
    others = [source for source in SOURCES if source != lacking]
    (anomaly,) = verdict(*exchanged(*others), layout(2.9, "n1", 3, False), claim).anomalies
    assert anomaly.name == "early-ownership"
    assert anomaly.data["missing"] == [lacking]
    what = "served" if claim["event"] == "serves" else "claimed to be ready for"
    claimed = f"n5 {what} partition 0 at 3.000 s, under layout 2, before an exchange with {lacking}"
    assert f"{claimed}, which owned it until then" in anomaly.why


def test_an_exchange_under_another_layout_or_of_another_partition_counts_for_nothing() -> None:
    for more in ({"version": 1}, {"partition": 3}):
        early = [exchange(2, peer, **more) for peer in SOURCES]
        assert verdict(*early, CLAIMS[2]).counts() == {"early-ownership": 1}


def test_an_exchange_that_ends_later_comes_too_late() -> None:
    late = [exchange(4, peer) for peer in SOURCES]
    assert verdict(CLAIMS[2], *late).counts() == {"early-ownership": 1}


def test_no_node_waits_for_one_that_was_removed() -> None:
    removed = layout(1.5, "n5", 2, True, gone=[SOURCES[0]])
    assert verdict(removed, *exchanged(*SOURCES[1:]), CLAIMS[2]).verdict is Verdict.VALID


def test_what_a_later_life_reports_is_not_judged() -> None:
    again = line(2.5, "n5", "start")
    assert verdict(again, CLAIMS[2], CLAIMS[1]).verdict is Verdict.VALID


def test_its_former_owner_may_serve_it() -> None:
    kept = next(p for p in range(4) if "n2" in NOW.holders(p) and "n2" in THEN.holders(p))
    back = line(3, "n2", "serves", layout=2, gained=[kept], lost=[])
    assert verdict(back).details == {"claims": 0}


def test_one_claim_is_reported_once() -> None:
    fields = verdict(*CLAIMS, layout(2.9, "n1", 3, False))
    assert fields.counts() == {"early-ownership": 1}


def test_without_a_change_it_is_skipped() -> None:
    h = history(put("1.1", 0.2, 0.3))
    still = [line(1, "n1", "layout", version=1, owners=OWNERS, members=OWNERS, gone=[])]
    claimed = check_logs(Run(h, TEST), logs(*still)).verdicts["ownership"]
    assert claimed.skipped == "no partition was on the move in the nodes' logs"
