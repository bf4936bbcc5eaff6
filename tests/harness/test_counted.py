"""One of a thing is not spelled as many are, wherever counts are shown."""

from __future__ import annotations

from typing import Any

import pytest
from dynamesis.checkers.history.counts import counted
from dynamesis.harness.report.story import grounds
from dynamesis.harness.report.summary import evidence

FIGURES: dict[str, Any] = {
    "acknowledged": 9, "tried": 9, "operations": {}, "floor": {}, "faults": [], "died": [],
    "final_reads": {"asked": 0, "answered": 0},
}  # fmt: skip


def test_what_is_counted_agrees_with_its_count() -> None:
    shown = [counted(n, "final read") for n in (0, 1, 2)]
    assert shown == ["0 final reads", "1 final read", "2 final reads"]


@pytest.mark.parametrize(
    ("keys", "replicas", "words"),
    [
        (1, 3, "1 key compared on 3 replicas"),
        (1, 1, "1 key compared on 1 replica"),
        (2, 6, "2 keys compared on 6 replicas"),
    ],
)
def test_the_keys_compared_agree_with_their_count(keys: int, replicas: int, words: str) -> None:
    figures = FIGURES | {"compared": {"keys": keys, "replicas": replicas}}
    assert evidence(figures).endswith(words)
    assert " ".join(grounds(figures)[-1]) == words
