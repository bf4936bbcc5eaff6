"""Writes regression tests: each replays one schedule, and wants it without an anomaly."""

from __future__ import annotations

import re
from collections.abc import Sequence

from dynamesis.harness.simulation.results import FailedSchedule
from dynamesis.harness.simulation.schedules.text import dump

_HEAD = '''"""Schedules that `dynamesis simulate` once found to fail, in virtual time."""

import pytest
from dynamesis.harness.simulation.play import replay

SCHEDULES = {
'''
_TAIL = """}


@pytest.mark.parametrize("name", SCHEDULES)
def test_schedule(name: str) -> None:
    results = replay(SCHEDULES[name], name)
    assert results["anomalies"] == {}
"""


def pytest_file(failures: Sequence[FailedSchedule]) -> str:
    """A module of pytest with a test for each failure."""
    parts = []
    for failure in failures:
        anomalies = failure.minimal.anomalies
        name = re.sub(r"\W+", "-", f"{failure.minimal.anomaly}-seed-{failure.seed}")
        text = (
            dump(failure.minimal.schedule, anomalies).replace("\\", "\\\\").replace('"""', '\\"""')
        )
        parts.append(f'    "{name}": """\n{text}""",\n')
    return _HEAD + "".join(parts) + _TAIL
