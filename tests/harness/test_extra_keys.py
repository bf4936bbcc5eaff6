"""What replicas hold of the harness's own load is compared, and what differs is an anomaly."""

from __future__ import annotations

import pytest
from dynamesis.checkers.dynamo.ring import CheckedRing
from dynamesis.harness.run.extra_keys import extra_keys
from dynamesis.harness.targets.reports import DumpedSibling, DumpRow

RING = CheckedRing(("n1", "n2", "n3"), 2)
KEY = next(key for key in map(str, range(99)) if set(RING.primaries(key)) == {"n1", "n2"})


def row(value: bytes, hint_for: str | None = None) -> DumpRow:
    return DumpRow(key=KEY, hint_for=hint_for, siblings=(DumpedSibling(value=value),))


def test_copies_that_agree_are_counted() -> None:
    found = extra_keys(RING, {"n1": [row(b"a")], "n2": [row(b"a")], "n3": []})
    assert found == {"compared": 1, "differ": 0, "keys": {}}


@pytest.mark.parametrize(
    "rows",
    [
        {"n1": [row(b"a")], "n2": [row(b"b")], "n3": []},
        {"n1": [row(b"a")], "n2": [], "n3": []},
        {"n1": [row(b"a")], "n2": [row(b"a")], "n3": [row(b"a")]},
        {"n1": [row(b"a")], "n2": [row(b"a")], "n3": [row(b"a", "n2")]},
        {"n1": [row(b"a"), row(b"a", "n2")], "n2": [row(b"a")], "n3": []},
    ],
    ids=["differ", "lacks it", "elsewhere", "a hint", "a hint at a primary"],
)
def test_what_differs_or_is_elsewhere_is_shown(rows: dict[str, list[DumpRow]]) -> None:
    found = extra_keys(RING, rows)
    assert found is not None
    assert (found["differ"], list(found["keys"])) == (1, [KEY])


def test_nodes_without_an_answer_prove_nothing() -> None:
    assert extra_keys(RING, {"n1": [row(b"a")], "n2": None, "n3": None}) is None
    assert extra_keys(RING, {"n1": None, "n2": None, "n3": None}) is None
