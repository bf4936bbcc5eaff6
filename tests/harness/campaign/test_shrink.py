"""Delta debugging against failures that are known."""

from __future__ import annotations

from pathlib import Path

import pytest
from dynamesis.harness.campaign.run_shrink import _spec
from dynamesis.harness.campaign.shrink import shrink
from dynamesis.harness.cli.app import run
from dynamesis.harness.results.results import Folder
from dynamesis.harness.usage.exits import USAGE
from dynamesis.harness.worlds.test_spec import TestSpec


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


def test_a_folder_from_before_there_was_a_spec(tmp_path: Path) -> None:
    """Files outlive code."""
    stored = {
        "workload": "cart", "workload_options": {"blind": 0.5}, "nodes": ["n1", "n2"], "n": 2,
        "r": 1, "w": 1, "sloppy": False, "time_limit": 5.0, "rate": 50.0, "concurrency": 3,
        "drivers": 0, "keys": 4, "seed": 7, "links": "direct", "clocks": "in-process",
        "storage": "memory", "bugs": ["amnesia"], "params": {"zones": {"n1": "a", "n2": "b"}},
    }  # fmt: skip
    spec = _spec(Folder(tmp_path), stored)
    assert spec == TestSpec(
        workload="cart", option=("blind=0.5",), nodes=2, n=2, r=1, w=1, strict=True,
        time_limit=5.0, rate=50.0, concurrency=3, keys=4, seed=7, links="direct",
        storage="memory", bug=("amnesia",), param=("zones={n1: a, n2: b}",),
    )  # fmt: skip
    assert _spec(Folder(tmp_path), {"spec": spec.to_dict()}) == spec


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
    ("results.json", '{"valid": true}', "give the folder of an invalid test"),
    ("results.json", "[" * 100_000, "results.json"),
    ("schedule.yaml", "faults: [", "schedule.yaml"),
    ("schedule.yaml", "- 1", "faults"),
    ("schedule.yaml", "\x00", "schedule.yaml"),
]


@pytest.mark.parametrize(("name", "content", "expected"), BAD)
def test_a_stored_test_that_cannot_be_shrunk_is_refused(
    tmp_path: Path, name: str, content: str, expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for file, text in {**GOOD, name: content}.items():
        (tmp_path / file).write_text(text)
    assert run(["shrink", str(tmp_path)]) == USAGE
    printed = capsys.readouterr().err
    assert expected in printed
    assert "Traceback" not in printed
