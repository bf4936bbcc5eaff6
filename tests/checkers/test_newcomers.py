"""Newcomers get the writes of what they fetch: by logs made by hand."""

from __future__ import annotations

from typing import Any

import pytest
from dynamesis.checkers.graph.run import Run
from dynamesis.checkers.history.history import Op
from dynamesis.checkers.logs.logs import Event
from dynamesis.checkers.models.log_checkers import check_logs
from dynamesis.checkers.verdict import CheckerResult, Verdict
from log_lines import RING, fault, history, line, logs, put

#: one partition: k moves from n1, n2 to n3, n4
TEST: dict[str, Any] = {"nodes": ["n1", "n2", "n3", "n4"], "n": 2, "r": 1, "w": 1,
                        "ring": {**RING, "owners": ["n3", "n4"], "n": 2}}  # fmt: skip
MOVES = {"version": 5, "owners": ["n1", "n2"], "target": ["n3", "n4"]}


def layout(at: float, node: str, **more: Any) -> Event:
    return line(at, node, "layout", **{**MOVES, **more})


def copy(node: str, **more: Any) -> Event:
    return line(10.1, node, "stored", key="k", request="1.1", why="pending", hash="a", **more)


def verdict(*lines: Event, ops: tuple[list[Op], ...] = (), **more: Any) -> CheckerResult:
    h = history(put("1.1", 10, 10.2, worth={"coordinator": "n1"}), *ops)
    known = [layout(9, node) for node in ("n1", "n2", "n3", "n4")]
    up = [line(1, "n1", "link-up", peer=peer) for peer in ("n2", "n3", "n4")]
    given = logs(*known, *up, *lines)
    return check_logs(Run(h, {**TEST, **more}), given).verdicts["newcomers"]


def test_both_newcomers_got_it() -> None:
    found = verdict(copy("n3"), copy("n4"))
    assert (found.verdict, found.details) == (Verdict.VALID, {"copies": 2})


def test_a_newcomer_that_got_nothing_is_an_anomaly() -> None:
    (anomaly,) = verdict(copy("n3")).anomalies
    assert (anomaly.name, anomaly.data["newcomer"]) == ("lost-hint", "n4")
    assert "while its partition moved under layout 5; n4, which fetched it" in anomaly.why


@pytest.mark.parametrize(
    "excuse",
    [
        line(9.5, "n1", "link-down", peer="n4"),
        line(10.3, "n1", "peer-suspected", peer="n4"),
        line(12, "n4", "start"),
        line(10.3, "n4", "copy-refused", key="k", code="storage-read"),
        layout(10.1, "n1", version=6),
        layout(10.1, "n4", version=6),
        layout(9.5, "n4", version=6),
        layout(9.5, "n1", gone=["n4"]),
        line(9.5, "n1", "layout", version=5, owners=["n3", "n4"]),
    ],
    ids=["down", "suspected", "another life", "refused", "another layout", "there", "older",
         "gone", "settled"],
)  # fmt: skip
def test_what_may_have_kept_it_from_there_is_an_excuse(excuse: Event) -> None:
    assert verdict(copy("n3"), excuse).verdict is Verdict.VALID


def test_links_lose_messages_and_changes_do_not() -> None:
    near = fault(1, "link", 8, 12), fault(2, "membership", 8, 12)
    assert verdict(copy("n3"), ops=near[:1]).verdict is Verdict.VALID
    assert verdict(copy("n3"), ops=near[1:]).counts() == {"lost-hint": 1}
    assert verdict(copy("n3"), unsteady=["late"]).skipped


class _Asked(dict[str, Any]):
    """A line that counts how often it is looked at."""

    times = 0

    def __getitem__(self, name: str) -> Any:
        _Asked.times += 1
        return super().__getitem__(name)

    def get(self, name: str, default: Any = None) -> Any:
        _Asked.times += 1
        return super().get(name, default)


def test_a_write_more_is_not_a_look_at_all_lines_more() -> None:
    def looks(writes: int) -> int:
        puts = [put(f"{n}.1", n, n + 0.1, worth={"coordinator": "n1"}) for n in range(1, writes)]
        other = [_Asked(line(n / 10, "n1", "epoch-renewed")) for n in range(1, 500)]
        given = logs(*(layout(0.5, node) for node in ("n1", "n2", "n3", "n4")), *other)
        _Asked.times = 0
        check_logs(Run(history(*puts), TEST), given)
        return _Asked.times

    assert looks(40) < 1.2 * looks(4)
