"""A store that reports whether it is at rest, and never is: its final reads prove nothing."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest
from dynamesis.harness.run.at_rest import until_at_rest
from dynamesis.harness.targets.system import TargetMistake

import dynamesis
from tests.targets.mistaken import notice_soon, target


class Asked:
    """Answers, or raises, the same each time."""

    def __init__(self, answer: bool | Exception) -> None:
        self.answer, self.times = answer, 0

    async def at_rest(self) -> bool:
        self.times += 1
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.mark.parametrize(
    ("answer", "seen"),
    [(False, False), (ValueError("no such table"), "ValueError: no such table")],
)
def test_it_is_asked_until_the_deadline(answer: bool | Exception, seen: object) -> None:
    asked = Asked(answer)
    outcome = asyncio.run(until_at_rest(asked, deadline=0.1, interval=0.01))
    assert not outcome.quiet
    assert outcome.waiting == {"at_rest": seen}
    assert asked.times > 1


def test_a_mistake_ends_the_wait() -> None:
    asked = Asked(TargetMistake("at_rest returned None"))
    outcome = asyncio.run(until_at_rest(asked, deadline=60))
    assert outcome.waiting == {"at_rest": "at_rest returned None"}
    assert asked.times == 1


@pytest.mark.cluster
@pytest.mark.parametrize(
    ("body", "why"),
    [
        ("pass", "at_rest returned None; it must return True or False"),
        ("return nowhere", "at_rest: NameError: name 'nowhere' is not defined (mine.py, line 9)"),
        ("time.sleep(1000)", "at_rest blocked the event loop for"),
    ],
)
def test_the_verdict_is_unknown_and_has_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: str, why: str
) -> None:
    notice_soon(monkeypatch)
    method = f"async def at_rest(self, site): {body}"
    began = time.monotonic()
    result = dynamesis.run_test(
        target=target(tmp_path, f"import time\nclass Mine(Kv):\n    {method}\n"),
        nemesis=["none"], time_limit=3, links="embedded", nodes=1, store=tmp_path / "store",
    )  # fmt: skip
    assert result.verdict is dynamesis.Verdict.UNKNOWN
    assert "the store was not at rest when the wait for it ended at " in result.explain()
    assert why in " ".join(result.explain().split())
    assert time.monotonic() - began < 120
