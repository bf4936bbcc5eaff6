"""What is shown while a test runs."""

from __future__ import annotations

import io
from typing import Any

import pytest
from dynamesis.checkers.history.op import Op
from dynamesis.harness.run.node_states import NodeStates
from dynamesis.harness.run.progress import ProgressCounts, line
from dynamesis.harness.run.progress_view import LiveView, Mode, PlainView, QuietView, view
from dynamesis.harness.run.screen import Folded
from dynamesis.harness.text.wrapping import cuts
from dynamesis.harness.worlds.observer import ConsoleObserver
from rich.console import Console
from rich.text import Text

S = 1_000_000_000


def phase(time: int, name: str) -> Op:
    return Op(time=time, type="info", process="harness", f="phase", value=name)


def fault(time: int, f: str, number: int, type: str = "info") -> Op:
    value = {"fault": number, "member": "cut.halves"}
    return Op(time=time, type=type, process="nemesis", f=f, value=value)  # type: ignore[arg-type]


def done(time: int, type: str = "ok") -> Op:
    return Op(time=time, type=type, process=3, f="put")  # type: ignore[arg-type]


def test_a_line_shows_phase_rate_outcomes_and_faults() -> None:
    tally = ProgressCounts()
    for op in (phase(0, "load"), done(S), done(2 * S), done(2 * S, "fail"), done(2 * S, "info")):
        tally.observe(op)
    tally.observe(fault(2 * S, "start-cut", 0))
    shown = " ".join(line(tally, 2 * S + S // 2).split())
    assert shown == "load 2.5 s 3 op/s ok 2 fail 1 info 1 faults: cut.halves"


def test_invocations_are_not_outcomes() -> None:
    tally = ProgressCounts()
    tally.observe(done(S, "invoke"))
    assert tally.counts.total() == 0


def test_a_fault_is_active_from_its_completion_to_its_end() -> None:
    tally = ProgressCounts()
    seen = []
    for op in (
        fault(1, "start-cut", 0, "invoke"),
        fault(2, "start-cut", 0),
        fault(3, "start-cut", 1),
        fault(4, "stop-cut", 0),
        fault(5, "stop-cut", 1),
    ):
        tally.observe(op)
        seen.append(len(tally.faults))
    assert seen == [0, 1, 2, 1, 0]


def test_plain_lines_come_with_changes_and_every_two_seconds() -> None:
    lines: list[str] = []
    plain = PlainView(lines.append, ProgressCounts())
    for op in (phase(0, "boot"), phase(S, "load"), *(done(S + i * S // 10) for i in range(50))):
        plain.observe(op)
    plain.observe(fault(6 * S, "start-cut", 0))
    plain.observe(phase(6 * S, "heal"))
    assert [shown.split()[0] for shown in lines] == ["boot", "load", "load", "load", "load", "heal"]


def test_the_console_decides_the_view() -> None:
    terminal, tally = Console(file=io.StringIO(), force_terminal=True), ProgressCounts()
    assert isinstance(view(Console(file=io.StringIO()), tally), PlainView)
    assert isinstance(view(terminal, tally), LiveView)
    assert isinstance(view(terminal, tally, Mode.of(quiet=False, plain=True)), PlainView)
    assert isinstance(view(terminal, tally, Mode.of(quiet=True, plain=True)), QuietView)


def test_a_terminal_that_cannot_go_back_gets_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    terminal = Console(file=io.StringIO(), force_terminal=True)
    assert isinstance(view(terminal, ProgressCounts()), PlainView)


def test_the_live_view_draws_and_leaves_nothing() -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=100)
    with LiveView(console, ProgressCounts()) as live:
        live.observe(phase(0, "quiesce"))
    assert isinstance(console.file, io.StringIO)
    assert "quiesce" in console.file.getvalue()


def strike(fault: int, f: str, **value: Any) -> Op:
    return Op(time=S, type="info", process="nemesis", f=f, value={"fault": fault, **value})


def states(*ops: Op) -> dict[str, str]:
    tally = ProgressCounts(nodes=NodeStates(("n1", "n2", "n3", "n10")))
    for op in ops:
        tally.observe(op)
    return dict(tally.nodes.row())


UP = {"n1": "up", "n2": "up", "n3": "up", "n10": "up"}
KILL = strike(1, "start-kill", member="kill.one", nodes=["n2"])
CUT = strike(2, "start-cut", member="cut.one", grudge=[["n2"], ["n1", "n3", "n10"]])
CHANGE = strike(3, "start-membership", joins=["n11"], leaves=["n1"], removes=[])


def test_nodes_are_a_row_of_states() -> None:
    assert list(states()) == ["n1", "n2", "n3", "n10"]
    assert states(KILL) == {**UP, "n2": "down"}
    assert states(KILL, CUT) == {**UP, "n2": "down+cut"}, "a node on the larger side is not cut off"
    assert states(KILL, CUT, strike(1, "stop-kill")) == {**UP, "n2": "cut"}
    died = strike(0, "found-dead", nodes=["n3"], last={"n3": "bye"})
    assert states(died)["n3"] == "died"
    assert states(died, phase(S, "heal"), phase(S, "quiesce")) == UP


def test_a_change_of_the_membership_that_is_done_is_not_a_fault() -> None:
    assert states(CHANGE) == {**UP, "n1": "leaving", "n11": "joining"}
    rest = {node: state for node, state in UP.items() if node != "n1"}
    assert states(CHANGE, strike(3, "stop-membership")) == {**rest, "n11": "up"}


def test_a_fault_that_was_skipped_is_not_active() -> None:
    tally = ProgressCounts()
    tally.observe(strike(1, "start-kill", member="kill.one", skipped="no node is left"))
    assert not tally.faults


def test_the_time_left_is_that_of_the_load() -> None:
    tally = ProgressCounts(limit=10.0)
    assert tally.left(0) == 10.0
    tally.observe(phase(2 * S, "boot"))
    tally.observe(phase(3 * S, "load"))
    assert tally.left(7 * S) == 6.0
    assert "7.0 s, 6.0 s left" in line(tally, 7 * S)
    tally.observe(phase(14 * S, "heal"))
    assert tally.left(14 * S) is None


def test_a_narrow_terminal_gets_a_few_lines() -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=40, color_system=None)
    nodes = NodeStates(tuple(f"n{i}" for i in range(1, 40)))
    with LiveView(console, ProgressCounts(limit=9.0, nodes=nodes)) as live:
        live.observe(KILL)
        for each in live._draw().renderables[1:]:  # type: ignore[union-attr]
            assert len(console.render_lines(each)) <= 4  # type: ignore[arg-type]


def test_a_terminal_shows_that_a_test_is_judged_and_nothing_else_does(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cases = ((True, Mode.AUTO), (True, Mode.QUIET), (True, Mode.PLAIN), (False, Mode.AUTO))
    for terminal, mode in cases:
        drawn = io.StringIO()
        shown = Console(file=drawn, force_terminal=terminal, color_system=None)
        monkeypatch.setattr("dynamesis.harness.worlds.observer.console", lambda _, c=shown: c)
        with ConsoleObserver(mode).judging():
            pass
        assert ("judging" in drawn.getvalue()) is (terminal and mode is Mode.AUTO)


@pytest.mark.parametrize("width", [30, 60, 80, 120])
def test_no_figure_is_cut_on_a_narrow_terminal(width: int) -> None:
    text = "load      16.4 s, 23.7 s left     43 op/s   ok 1139  fail 20  info 3"
    console = Console(file=io.StringIO(), width=width, color_system=None)
    console.print(Folded(Text(text)))
    shown = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    assert all(len(each) <= width for each in shown)
    assert "\u2026" not in "".join(shown)
    assert " ".join(" ".join(shown).split()) == " ".join(text.split())
    assert all(part in "\n".join(shown) for part in ("fail 20", "ok 1139", "23.7 s left"))


def test_a_text_without_an_end_takes_a_few_lines() -> None:
    console = Console(file=io.StringIO(), width=40, color_system=None)
    console.print(Folded(Text("  nodes  " + "  ".join(f"n{i} up" for i in range(100)))))
    shown = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    assert len(shown) == 4
    assert shown[-1].endswith("\u2026")
    assert max(map(len, shown)) <= 40


def test_a_part_that_is_longer_than_a_line_is_cut() -> None:
    assert cuts("x" * 100, 40) == []
    console = Console(file=io.StringIO(), width=40, color_system=None)
    console.print(Folded(Text("x" * 100)))
    assert console.file.getvalue() == "x" * 39 + "\u2026\n"  # type: ignore[attr-defined]
