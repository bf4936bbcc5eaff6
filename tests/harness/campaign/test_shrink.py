"""Delta debugging against failures that are known."""

from __future__ import annotations

from pathlib import Path

import pytest
from dynamesis.harness.campaign.run_shrink import without
from dynamesis.harness.campaign.shrink import shrink
from dynamesis.harness.cli.app import run
from dynamesis.harness.usage.exits import USAGE


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


GOOD = {
    "test.json": '{"command": "dynamesis test", "time_limit": 5}',
    "results.json": '{"valid": false, "anomalies": {"lost-write": 1}}',
    "schedule.yaml": "faults: []",
}
BAD = [
    ("test.json", "{", "(file)"),
    ("test.json", '{"command": "dynamesis test"}', "time_limit"),
    ("test.json", '{"command": 5, "time_limit": 5}', "command"),
    ("test.json", "", "(file)"),
    ("results.json", "{", "results.json"),
    ("results.json", '{"valid": true}', "nothing to shrink"),
    ("results.json", "[" * 100_000, "results.json"),
    ("schedule.yaml", "faults: [", "schedule.yaml"),
    ("schedule.yaml", "- 1", "faults"),
    ("schedule.yaml", "\x00", "schedule.yaml"),
]


@pytest.mark.parametrize(("name", "content", "said"), BAD)
def test_a_stored_test_that_cannot_be_shrunk_is_told_so(
    tmp_path: Path, name: str, content: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for file, text in {**GOOD, name: content}.items():
        (tmp_path / file).write_text(text)
    assert run(["shrink", str(tmp_path)]) == USAGE
    told = capsys.readouterr().err
    assert said in told
    assert "Traceback" not in told
