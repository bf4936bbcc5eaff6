"""Shows a hunt while it runs: a line for what was found, and on a terminal below them what runs now
and how far it is; elsewhere a line now and then."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from dynamesis.harness.campaign.view import clock
from dynamesis.harness.hunt.hunt import Hunter
from dynamesis.harness.hunt.trials import VERDICTS
from dynamesis.harness.report.summary import STYLES
from dynamesis.harness.report.words import counted
from dynamesis.harness.run.progress_view import Mode, is_live
from dynamesis.harness.run.screen import Block
from dynamesis.harness.text.printable import printable
from rich.console import Console
from rich.text import Text

#: s between two plain lines about how far it is
_EVERY = 30.0
_STYLES = {**STYLES, "error": "bold magenta"}


def so_far(hunter: Hunter) -> str:
    """`1:03:20, 1,204 tests (invalid 2, valid 1202), 2 failures in failures, 1 of them new`"""
    counts = hunter.runs.counts
    by_verdict = {each: sum(counts[w, each] for w in hunter.worlds) for each in VERDICTS}
    shown = ", ".join(f"{each} {count:,}" for each, count in by_verdict.items() if count)
    tests = counted(sum(by_verdict.values()), "test") + (f" ({shown})" if shown else "")
    known = f"{counted(len(hunter.struck), 'failure')} met, {len(hunter.fresh)} of them new"
    return f"{clock(hunter.runs.elapsed)}, {tests}, {known}"


def left(hunter: Hunter) -> str:
    """About how long it still takes, where it has an end."""
    budget, runs = hunter.runs.budget, hunter.runs
    ends = [] if budget.time is None else [max(0.0, budget.time - runs.elapsed)]
    if budget.runs is not None and runs.begun:
        ends.append(runs.elapsed / runs.begun * max(0, budget.runs - runs.begun))
    return f", about {clock(min(ends))} left" if ends else ""


@contextmanager
def shown(console: Console, hunter: Hunter, mode: Mode) -> Iterator[None]:
    """Shows the hunt within."""
    hunter.say = lambda verdict, line: console.print(
        Text(printable(line), _STYLES.get(verdict, "default"))
    )
    if mode is Mode.QUIET:
        hunter.say = lambda verdict, line: None
        yield
    elif is_live(console, mode):
        with _Drawn(console, hunter):
            yield
    else:
        hunter.runs.on_tick = _now_and_then(lambda: console.print(so_far(hunter) + left(hunter)))
        yield


class _Drawn(Block):
    def __init__(self, console: Console, hunter: Hunter) -> None:
        super().__init__(console)
        self._hunter = hunter

    def content(self) -> tuple[str, list[Text]]:
        hunter = self._hunter
        stopping = "stopping  " if hunter.runs.interrupted else ""
        now = Text(f"  now {hunter.doing or 'nothing'}")
        return f"{stopping}{so_far(hunter)}{left(hunter)}", [now]


def _now_and_then(show: Callable[[], None]) -> Callable[[], None]:
    last = time.monotonic()

    def tick() -> None:
        nonlocal last
        if time.monotonic() - last >= _EVERY:
            last = time.monotonic()
            show()

    return tick
