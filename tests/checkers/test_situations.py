"""Situations, counted in hand-made lines: those that depend on the lines before."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from dynamesis.checkers.logs.copy_lines import ABOUT, RARE
from dynamesis.checkers.logs.logs import Logs
from dynamesis.checkers.logs.situation_lines import Has
from dynamesis.checkers.logs.situations import SITUATIONS, count_situations, table
from log_lines import Event, line


def counted(*lines: Event) -> dict[str, int]:
    return {name: count for name, count in count_situations(Logs.of(lines)).items() if count}


def stored(at: float, node: str, why: str, *holds: str, **fields: Any) -> Event:
    return line(at, node, "stored", key="k", why=why, holds=list(holds), **fields)


def test_every_situation_is_counted_also_where_there_is_none() -> None:
    assert count_situations(Logs.of([])) == dict.fromkeys(SITUATIONS, 0)
    assert counted(line(1, "n1", "no-such-event"), line(1, "n1", "start")) == {}


def test_lines_of_copies_are_looked_at_by_fields_that_are_known_to_be_rare() -> None:
    about = [each.when for each in SITUATIONS.values() if each.event in ABOUT]
    assert {when.name for when in about if isinstance(when, Has)} - {"why"} <= {*RARE}


def test_a_line_of_several_counts_so_often() -> None:
    lines = [line(1, "n1", "forwarded"), line(2, "n1", "forwarded", times=9)]
    assert counted(*lines) == {"put-forwarded": 10}
    assert counted(line(1, "n1", "forwarded", times="x")) == {"put-forwarded": 1}


def test_siblings_are_made_met_resolved_and_superseded() -> None:
    alone = [stored(1, "n1", "stamp", "a")]
    assert counted(*alone) == {}
    made = [*alone, stored(2, "n1", "stamp", "a", "b")]
    assert counted(*made) == {"sibling-made": 1}
    assert counted(*made, stored(3, "n1", "stamp", "c")) == {
        "sibling-made": 1,
        "sibling-resolved": 1,
    }
    met = [stored(1, "n2", "put", "a"), stored(2, "n2", "put", "a", "b")]
    assert counted(*met) == {"sibling-met": 1}
    assert counted(*met, stored(3, "n2", "put", "c")) == {
        "sibling-met": 1,
        "sibling-superseded": 1,
    }


def test_copies_of_other_nodes_keys_and_hints_are_others() -> None:
    two = stored(1, "n1", "put", "a", "b")
    for other in (
        stored(2, "n2", "stamp", "c"),
        {**stored(2, "n1", "stamp", "c"), "key": "other"},
        stored(2, "n1", "stamp", "c", hint_for="n3"),
    ):
        assert "sibling-resolved" not in counted(two, other)
    gone = line(2, "n1", "deleted", key="k")
    assert "sibling-resolved" not in counted(two, gone, stored(3, "n1", "stamp", "c"))


def test_a_context_is_from_before_a_wipe_by_its_incarnation() -> None:
    def ahead(*seen: str) -> dict[str, int]:
        return counted(line(1, "n1", "context-ahead", key="k", seen=list(seen), actor="n1:ab:2"))

    assert ahead("n1:cd:1") == {"context-before-wipe": 1}
    assert ahead("n1:ab:1") == {"context-before-loss": 1}


def test_a_second_life_is_a_restart() -> None:
    first, other = line(1, "n1", "ready"), line(2, "n2", "ready")
    assert counted(first, other) == {}
    assert counted(first, other, line(3, "n1", "ready")) == {"node-restarted": 1}


def layout(at: float, version: int, *members: str, **fields: Any) -> Event:
    return line(at, "n1", "layout", version=version, members=list(members), **fields)


def test_members_come_and_go_by_what_a_node_knew_before() -> None:
    first = layout(1, 1, "n1", "n2")
    assert counted(first) == {}
    assert counted(first, layout(2, 2, "n1", "n2", "n3")) == {"member-joined": 1}
    assert counted(first, layout(2, 2, "n1")) == {"member-left": 1}


@pytest.mark.parametrize("cut", ["start", "ready", "exchange-failed"])
def test_a_transfer_resumes_after_an_interruption_under_its_layout(cut: str) -> None:
    moving = layout(1, 2, "n1", "n2", target=["n1"])
    ready = line(4, "n1", "transfer-ready", layout=2, partition=0)
    assert "transfer-resumed" not in counted(moving, ready)
    again = layout(3, 2, "n1", "n2", target=["n1"])
    assert counted(moving, line(2, "n1", cut), again, ready)["transfer-resumed"] == 1
    assert "transfer-resumed" not in counted(moving, line(2, "n2", cut), ready)
    other = line(4, "n1", "transfer-ready", layout=3, partition=0)
    assert "transfer-resumed" not in counted(moving, line(2, "n1", cut), other)


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({"event": "handed-off", "target": "n2", "to": ["n2"]}, "hint-handed-off"),
        ({"event": "put-refused", "code": "write-quorum"}, "put-quorum-missed"),
        ({"event": "exchange", "repaired": 3}, "exchange-repaired"),
        ({"event": "read", "answers": {"n4 for n1": [], "n2": []}}, "get-answered-by-fallback"),
        ({"event": "read", "answers": {"n1": ["a"], "n2": []}}, "get-replicas-differ"),
        ({"event": "stored", "why": "anti-entropy, healed"}, "row-healed"),
        ({"event": "clock-set", "by": -500}, "clock-back"),
        ({"event": "exchange", "repaired": 0}, None),
        ({"event": "stored", "why": "put"}, None),
        ({"event": "read", "answers": {"n1": ["a"], "n2": ["a"]}}, None),
        ({"event": "read", "answers": None}, None),
        ({"event": "stored", "why": "stamp", "holds": None}, None),
    ],
)
def test_a_line_is_a_situation_by_its_fields(fields: dict[str, Any], name: str | None) -> None:
    assert counted({"node": "n1", **fields}) == ({} if name is None else {name: 1})


def test_a_hint_for_a_node_that_owns_no_more_goes_elsewhere() -> None:
    found = counted(line(1, "n1", "handed-off", target="n2", to=["n3", "n4"]))
    assert found == {"hint-handed-off": 1, "hint-handed-elsewhere": 1}


def test_the_page_has_the_table() -> None:
    page = (Path(__file__).parents[2] / "docs" / "situations.md").read_text(encoding="utf-8")
    assert table() in page, "print(dynamesis.checkers.logs.situations.table())"
