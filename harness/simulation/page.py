"""What a run of many schedules ends with, as lines of text."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from statistics import median

from dynamesis.checkers.verdict import Verdict
from dynamesis.harness.report.words import counted
from dynamesis.harness.simulation.results import SHOWN, FailedSchedule, Tally
from dynamesis.harness.simulation.schedules.text import dump

#: (style, text)
Line = tuple[str, str]


def lines(
    tally: Tally, failures: Sequence[FailedSchedule], beside: Sequence[str] = ()
) -> Iterator[Line]:
    """How many schedules and what came of them; the situations; each failure, shrunk. `beside`: the
    flags that go with the tokens."""
    yield from _situations(tally)
    for failure in failures:
        yield from _failure(failure, beside)
    for seed, reason in tally.unknown[:SHOWN]:
        yield "bold yellow", f"unknown: seed {seed}: {reason}"
    if len(tally.unknown) > SHOWN:
        yield "", f"  and {len(tally.unknown) - SHOWN} more unknown"
    for each in tally.unfinished:
        yield "bold yellow", f"unfinished: {each}"
    yield from _conclusion(tally)


def counts(tally: Tally) -> str:
    """How many there were, and their verdicts, in a line."""
    return (
        f"{counted(tally.schedules, 'schedule')}, {tally.per_minute:g} a minute: {verdicts(tally)}"
    )


def verdicts(tally: Tally) -> str:
    """`7 valid, 0 invalid, 0 unknown`"""
    return ", ".join(f"{tally.verdicts[each]} {each.value}" for each in Verdict)


def _situations(tally: Tally) -> Iterator[Line]:
    if not tally.situations:
        return
    reached = sum(count > 0 for count in tally.situations.values())
    yield "bold", f"situations: {reached} of {len(tally.situations)} reached"
    for name, count in sorted(tally.situations.items()):
        yield "" if count else "yellow", f"  {name:34}{count or 'never':>9}"


def _failure(failure: FailedSchedule, beside: Sequence[str]) -> Iterator[Line]:
    small = failure.minimal.schedule
    given = "operations as drawn"
    if small.operations is not None:
        given = counted(len(small.operations), "operation")
    yield "bold red", f"{', '.join(failure.minimal.anomalies)}: seed {failure.seed}"
    nodes = small.spec.nodes
    cluster = "" if nodes is None else f", {counted(nodes, 'node')}"
    yield "", f"  {given}, {counted(small.fault_count, 'fault')}{cluster}"
    if failure.unsaved:
        yield "yellow", f"  not saved: {failure.unsaved}"
    elif failure.folder is None:
        yield "yellow", "  not shrunk: that was stopped before its turn"
    else:
        yield "", f"  folder  {failure.folder}"
    again = [str(failure.folder or failure.kept)]
    if failure.token is not None:
        again = [failure.token, *beside]
    yield "", f"  again   {shlex.join(['dynamesis', 'simulate', '--replay', *again])}"
    for line in dump(small, failure.minimal.anomalies).splitlines():
        yield "", f"    {line}"


def _conclusion(tally: Tally) -> Iterator[Line]:
    if seeds := tally.seeds:
        yield "", f"seeds: {seeds[0]} to {seeds[-1]} (--seed {seeds[0]} --schedules {len(seeds)})"
    if tally.schedules:
        yield (
            "",
            (
                f"evidence: {counted(sum(tally.operations), 'operation')}, "
                f"{tally.acknowledged:,} acknowledged, {tally.effective:,} of "
                f"{counted(sum(tally.faults), 'fault')} took effect; the median schedule has "
                f"{counted(median(tally.operations), 'operation')} and "
                f"{counted(median(tally.faults), 'fault')}"
            ),
        )
    if tally.stopped and tally.verdicts[Verdict.INVALID]:
        yield "", "it was stopped before all had been played"
    style = ("bold green", "bold red", "", "bold yellow")[tally.exit_code]
    yield style, counts(tally)
    if tally.lacking and not tally.verdicts[Verdict.INVALID]:
        yield "bold yellow", f"unknown: {tally.lacking}"
