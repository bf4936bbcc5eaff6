"""A node that is paused while another fault may start it anew is not certainly stopped."""

from __future__ import annotations

from typing import Any

import pytest
from dynamesis.checkers.dynamo.quorum import check_ledger
from dynamesis.checkers.graph.run import Run
from dynamesis.checkers.history.history import History, Op
from programs import KEYS, PRIMARIES, TEST

KEY = KEYS[0]
ONE, OTHER = PRIMARIES[KEY]
#: a get of both primaries
GET = [
    {"process": 0, "f": "get", "key": KEY},
    {"type": "ok", "process": 0, "f": "get", "key": KEY, "node": OTHER, "siblings": []},
]


def _start(number: int, kind: str, bit: bool = True) -> list[dict[str, Any]]:
    start = {"process": "nemesis", "f": f"start-{kind}", "value": {"fault": number, "nodes": [ONE]}}
    evidence = {"fault": number, "bit": bit}
    return [start, start | {"type": "info"}, _event("evidence", evidence)]


def _event(f: str, value: dict[str, Any]) -> dict[str, Any]:
    return {"type": "info", "process": "nemesis", "f": f, "value": value}


def _stop(number: int, kind: str, *within: dict[str, Any]) -> list[dict[str, Any]]:
    stop = {"process": "nemesis", "f": f"stop-{kind}", "value": {"fault": number}}
    return [stop, *within, stop | {"type": "info"}]


def _impossible(*events: dict[str, Any]) -> int:
    ops = [Op(time=number * 1_000_000, **event) for number, event in enumerate(events)]
    given = TEST | {"nodes": [ONE, OTHER], "r": 2, "w": 2, "sloppy": False}
    return check_ledger(Run(History.of(ops), given)).counts().get("impossible-ack", 0)


@pytest.mark.parametrize("family", ["kill", "wipe", "disk", "upgrade", "membership"])
def test_it_may_serve_until_it_is_ready(family: str) -> None:
    pause, ended = _start(1, "pause"), _start(2, family)
    assert _impossible(*pause, *ended, *_stop(2, family, *GET)) == 0
    assert _impossible(*pause, *ended[:1], *GET, *ended[1:]) == 0
    assert _impossible(*pause, *_start(2, "cut"), *_stop(2, "cut", *GET)) == 1


@pytest.mark.parametrize("family", ["kill", "pause"])
def test_a_node_that_leaves_and_comes_back_is_started_at_any_time(family: str) -> None:
    leaves = {"fault": 2, "joins": [], "leaves": [ONE], "removes": [], "back": True}
    change = _event("start-membership", leaves)
    started = [change | {"type": "invoke"}, change]
    held = [*_start(1, family), *GET, *_stop(1, family)]
    assert _impossible(*started, *held) == 0
    del leaves["back"]
    assert _impossible(*started, *held) == 1


def test_so_may_one_that_was_down_as_it_was_paused() -> None:
    pause = [*_start(2, "pause", bit=False)[:2]]
    late = _event("evidence", {"fault": 2, "bit": True})
    both = [*_start(1, "kill"), *pause]
    assert _impossible(*both, *_stop(1, "kill", *GET), late, *_stop(2, "pause")) == 0
    assert _impossible(*both, *GET, *_stop(1, "kill"), late, *_stop(2, "pause")) == 1
    assert _impossible(*both, *_stop(1, "kill"), *GET, late, *_stop(2, "pause")) == 1


def test_before_that_and_after_it_it_is_stopped() -> None:
    pause, ended = _start(1, "pause"), _start(2, "kill")
    assert _impossible(*pause, *GET, *ended, *_stop(2, "kill"), *_stop(1, "pause")) == 1
    assert _impossible(*pause, *ended, *_stop(2, "kill"), *GET, *_stop(1, "pause")) == 1
    assert _impossible(*pause, *ended, *_stop(2, "kill")[:1], *GET, *_stop(1, "pause")) == 0
