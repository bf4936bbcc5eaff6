"""A hint lies in the zone of the node that it is for: by logs made by hand."""

from __future__ import annotations

from typing import Any

import pytest
from dynamesis.checkers.dynamo.ring import CheckedRing
from dynamesis.checkers.graph.run import Run
from dynamesis.checkers.logs.logs import Event, Logs
from dynamesis.checkers.models.log_checkers import check_logs
from dynamesis.checkers.verdict import CheckerResult, Verdict
from log_lines import BEGAN, history, line, op, put

NODES = ("n1", "n2", "n3", "n4", "n5")
ZONES = {"n1": "a", "n2": "a", "n3": "b", "n4": "b", "n5": "b"}
RING = {"partitions": 5, "owners": list(NODES), "n": 3, "zones": ZONES}
TEST: dict[str, Any] = {"nodes": list(NODES), "n": 3, "r": 2, "w": 2, "ring": RING}
#: a key of which one primary is in a: its other node there is a fallback, as one of b is
KEY = next(
    key
    for key in map(str, range(99))
    if sum(ZONES[n] == "a" for n in CheckedRing.of(TEST).primaries(key)) == 1  # type: ignore[union-attr]
)
PRIMARIES = CheckedRing.of(TEST).primaries(KEY)  # type: ignore[union-attr]
(DOWN,) = (n for n in PRIMARIES if ZONES[n] == "a")
COORDINATOR, OTHER = (n for n in PRIMARIES if ZONES[n] == "b")
(NEAR,) = (n for n in NODES if ZONES[n] == "a" and n != DOWN)
(FAR,) = (n for n in NODES if ZONES[n] == "b" and n not in PRIMARIES)


def stored(node: str, **more: Any) -> Event:
    why = "stamp" if node == COORDINATOR else "put"
    return line(10.1, node, "stored", key=KEY, request="1.1", why=why, hash="aa", **more)


def hint(node: str) -> Event:
    return stored(node, hint_for=DOWN)


def health(at: float, event: str, peer: str = NEAR) -> Event:
    return line(at, COORDINATOR, event, peer=peer)


def verdict(*lines: Event, **worth: Any) -> CheckerResult:
    h = history(put("1.1", 10, 10.2, key=KEY, worth={"coordinator": COORDINATOR, **worth}))
    ends = [line(at, node, "ready" if at else "start") for node in NODES for at in (0, 100)]
    every = [*ends, health(0.5, "link-up"), stored(COORDINATOR), stored(OTHER), *lines]
    logs = Logs.of(sorted(every, key=lambda each: each["mono"]), BEGAN)
    return check_logs(Run(h, test=TEST), logs).verdicts["zones"]


def test_a_hint_in_the_zone_of_its_primary_is_right() -> None:
    found = verdict(hint(NEAR))
    assert (found.verdict, found.details) == (Verdict.VALID, {"writes": 1})


def test_one_in_another_zone_is_misplaced() -> None:
    (anomaly,) = verdict(hint(FAR)).anomalies
    assert (anomaly.name, anomaly.key) == ("misplaced", KEY)
    assert anomaly.data == {"primary": DOWN, "holder": FAR, "passed": [NEAR]}


@pytest.mark.parametrize(
    "excuse",
    [
        health(5, "link-down"),
        health(5, "peer-suspected"),
        health(9.95, "peer-back"),
        health(10.05, "link-down"),
        line(12, NEAR, "start"),
        line(9, COORDINATOR, "start"),
        line(10.05, NEAR, "storage-error", table="hints", reason="full"),
        line(10.05, NEAR, "copy-refused", key=KEY, code="storage-read", hint_for=DOWN),
        line(9.5, NEAR, "hint-refused", target=DOWN, bytes=9),  # the next one within 1 s is counted
        line(13.1, NEAR, "stored", key=KEY, request="1.1", why="put", hash="aa", hint_for=DOWN),
    ],
)
def test_a_node_that_may_have_been_asked_or_could_not_be_is_an_excuse(excuse: Event) -> None:
    assert verdict(hint(FAR), excuse).verdict is Verdict.VALID


@pytest.mark.parametrize(
    "other",
    [
        health(5, "link-down", FAR),
        health(5, "link-down"),
        health(11, "link-down"),
        line(5, NEAR, "storage-error"),
    ],
)
def test_what_is_over_or_concerns_another_excuses_nothing(other: Event) -> None:
    back = health(6, "link-up")
    assert verdict(hint(FAR), other, back).counts() == {"misplaced": 1}


def test_one_that_may_have_been_asked_in_vain_must_stay_in_reach() -> None:
    """After half a second a node that was asked may have been given up, and the copy that it was
    sent may be lost with the link."""
    late = {**hint(FAR), "mono": BEGAN + 10_600_000_000}
    assert verdict(late).counts() == {"misplaced": 1}
    assert verdict(late, health(11, "link-down")).verdict is Verdict.VALID


@pytest.mark.parametrize(
    ("timeout", "at", "found"), [(0.5, 10.3, 1), (0.1, 10.3, 0), (0.1, 10.05, 1), (0.5, 10.45, 0)]
)
def test_one_that_was_asked_over_a_lossy_link_may_have_got_nothing(
    timeout: float, at: float, found: int
) -> None:
    """A message was lost, and the node that was asked is not suspected for one silence."""
    value = {"fault": 1, "member": "link.lossy"}
    lossy = [
        op(9, process="nemesis", f="start-link", value=value),
        op(9.1, type="info", process="nemesis", f="start-link", value=value),
    ]
    h = history(put("1.1", 10, 10.5, key=KEY, worth={"coordinator": COORDINATOR}), lossy)
    ends = [line(when, node, "ready" if when else "start") for node in NODES for when in (0, 100)]
    kept = line(at, FAR, "stored", key=KEY, request="1.1", why="put", hash="aa", hint_for=DOWN)
    every = [*ends, health(0.5, "link-up"), stored(COORDINATOR), stored(OTHER), kept]
    logs = Logs.of(sorted(every, key=lambda each: each["mono"]), BEGAN)
    test = TEST | {"params": {"replica_timeout": timeout}}
    judged = check_logs(Run(h, test=test), logs).verdicts["zones"]
    assert len(judged.anomalies) == found


def test_without_zones_nothing_is_judged() -> None:
    h = history(put("1.1", 1, 1.2))
    flat = {**TEST, "ring": {**RING, "zones": {}}}
    assert check_logs(Run(h, flat), Logs.of([], BEGAN)).verdicts["zones"].skipped
