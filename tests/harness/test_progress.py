"""What is shown while a test runs."""

from __future__ import annotations

import io

from dynamesis.checkers.history.op import Op
from dynamesis.harness.run.progress import LiveView, PlainView, ProgressCounts, line, view
from rich.console import Console

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
    said: list[str] = []
    plain = PlainView(said.append)
    for op in (phase(0, "boot"), phase(S, "load"), *(done(S + i * S // 10) for i in range(50))):
        plain.observe(op)
    plain.observe(fault(6 * S, "start-cut", 0))
    plain.observe(phase(6 * S, "heal"))
    assert [shown.split()[0] for shown in said] == ["boot", "load", "load", "load", "load", "heal"]


def test_the_console_decides_the_view() -> None:
    assert isinstance(view(Console(file=io.StringIO())), PlainView)
    assert isinstance(view(Console(file=io.StringIO(), force_terminal=True)), LiveView)


def test_the_live_view_draws_and_leaves_nothing() -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=100)
    with LiveView(console) as live:
        live.observe(phase(0, "quiesce"))
    assert isinstance(console.file, io.StringIO)
    assert "quiesce" in console.file.getvalue()
