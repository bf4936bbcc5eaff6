"""Delta debugging against failures that are known."""

from __future__ import annotations

import pytest

from harness.campaign.shrink import shrink
from harness.cli.shrinking import without


@pytest.mark.parametrize(
    "needed", [set(), {3}, {0, 7}, {2, 3, 4}, {0, 1, 6, 12}, set(range(13))], ids=str
)
def test_what_is_needed_is_left(needed: set[int]) -> None:
    asked: list[list[int]] = []

    def fails(faults: list[int]) -> bool:
        asked.append(faults)
        return needed <= set(faults)

    assert shrink(range(13), fails) == sorted(needed)
    assert len(asked) < 100


def test_either_of_two_is_enough() -> None:
    assert len(shrink(range(10), lambda faults: bool({2, 8} & set(faults)))) == 1


def test_what_a_run_again_must_not_repeat() -> None:
    given = ["test", "--nemesis", "cut", "--seed=3", "--store=x", "--strict", "--keys", "4"]
    assert without(given, ("--nemesis", "--store")) == [
        "test",
        "--seed=3",
        "--strict",
        "--keys",
        "4",
    ]
