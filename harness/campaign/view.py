"""Shows a campaign while it runs: a line for each test that has ended, and on a terminal below
them what runs now, how far it all is, and about how long it still takes; elsewhere each line ends
with that."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Protocol

from dynamesis.harness.campaign.journal import VERDICTS, CellRun
from dynamesis.harness.campaign.scheduler import Scheduler
from dynamesis.harness.report.summary import STYLES
from dynamesis.harness.run.progress_view import Mode, is_live
from dynamesis.harness.run.screen import Block, Lines, Screen
from rich.console import Console
from rich.text import Text

_STYLES = {**STYLES, "error": "bold magenta"}


class CampaignView(Screen, Protocol):
    """Shows a campaign within its context."""

    def show(self, run: CellRun | None, of: Scheduler) -> None: ...


def ended(run: CellRun) -> Text:
    """The line of a test that has ended."""
    text = Text(f"{run.verdict:8}", _STYLES[run.verdict])
    again = " again" if run.rerun else ""
    text.append(f"{run.seconds:6.1f} s  {run.cell}{again}", "default")
    if run.verdict != "valid":
        found = ", ".join(f"{name} ({count})" for name, count in run.anomalies.items())
        text.append(f"  {found or ''.join(run.why[:1])}", "dim")
    return text


def view(
    console: Console, line: Callable[[CellRun], Text] = ended, mode: Mode = Mode.AUTO
) -> CampaignView:
    """Live where the console is a terminal, plain lines where it is not, or as `mode` wants it.
    `line`: the line of a test that has ended."""
    if mode is Mode.QUIET:
        return _QuietView()
    return _LiveView(console, line) if is_live(console, mode) else _PlainView(console, line)


def so_far(of: Scheduler) -> str:
    """How far it is."""
    counts = Counter(run.verdict for run in of.journal.runs)
    verdicts = "  ".join(f"{each} {counts[each]}" for each in VERDICTS if counts[each])
    stopping = "stopping  " if of.interrupted else ""
    return f"{stopping}{clock(of.elapsed())}  {how_far(of)}  {verdicts}"


def how_far(of: Scheduler) -> str:
    """`12 of 60, about 3:20 left`"""
    done = len({run.cell for run in of.journal.runs})
    left = of.left()
    to_come = "" if left is None or left < 1 else f", about {clock(left)} left"
    return f"{done} of {len(of.campaign.cells)}{to_come}"


def clock(seconds: float) -> str:
    """`3:20`, `1:03:20`"""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


class _QuietView(Lines):
    def show(self, run: CellRun | None, of: Scheduler) -> None:
        """Shows nothing."""


class _PlainView(Lines):
    def __init__(self, console: Console, line: Callable[[CellRun], Text]) -> None:
        self._console = console
        self._line = line

    def show(self, run: CellRun | None, of: Scheduler) -> None:
        if run is not None:
            self._console.print(self._line(run).append(f"  ({how_far(of)})", "dim"))


class _LiveView(Block):
    def __init__(self, console: Console, line: Callable[[CellRun], Text]) -> None:
        super().__init__(console)
        self._line = line
        self._of: Scheduler | None = None

    def show(self, run: CellRun | None, of: Scheduler) -> None:
        if run is not None:
            self.console.print(self._line(run))
        self._of = of

    def content(self) -> tuple[str, list[Text]] | None:
        if self._of is None:
            return None
        now = ", ".join(self._of.running) or "nothing"
        return so_far(self._of), [Text(f"  now {now}")]
