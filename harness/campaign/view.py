"""Shows a campaign while it runs: a line for each test that has ended, and on a
terminal below them what runs now and how far it all is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from types import TracebackType
from typing import Protocol

from dynamesis.harness.campaign.journal import VERDICTS, CellRun
from dynamesis.harness.campaign.scheduler import Scheduler
from dynamesis.harness.report.summary import STYLES
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.spinner import Spinner
from rich.text import Text

_STYLES = {**STYLES, "error": "bold magenta"}


class CampaignView(Protocol):
    """Shows a campaign within its context."""

    def show(self, run: CellRun | None, of: Scheduler) -> None: ...

    def __enter__(self) -> CampaignView: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None: ...


def ended(run: CellRun) -> Text:
    """The line of a test that has ended."""
    text = Text(f"{run.verdict:8}", _STYLES[run.verdict])
    again = " again" if run.rerun else ""
    text.append(f"{run.seconds:6.1f} s  {run.cell}{again}", "default")
    if run.verdict != "valid":
        found = ", ".join(f"{name} ({count})" for name, count in run.anomalies.items())
        text.append(f"  {found or ''.join(run.why[:1])}", "dim")
    return text


def view(console: Console, line: Callable[[CellRun], Text] = ended) -> CampaignView:
    """Live where the console is a terminal, plain lines where it is not. `line`: the
    line of a test that has ended."""
    return _Live(console, line) if console.is_terminal else _PlainView(console, line)


def so_far(of: Scheduler) -> str:
    """How far it is."""
    runs = of.journal.runs
    counts = Counter(run.verdict for run in runs)
    verdicts = "  ".join(f"{each} {counts[each]}" for each in VERDICTS if counts[each])
    done = len({run.cell for run in runs})
    now = ", ".join(of.running) or "nothing"
    stopping = "stopping  " if of.interrupted else ""
    minutes, seconds = divmod(int(of.elapsed()), 60)
    time = f"{minutes}:{seconds:02}"
    return f"{stopping}{time}  {done} of {len(of.campaign.cells)}  {verdicts}  now: {now}"


class _PlainView:
    def __init__(self, console: Console, line: Callable[[CellRun], Text]) -> None:
        self._console = console
        self._line = line

    def show(self, run: CellRun | None, of: Scheduler) -> None:
        if run is not None:
            self._console.print(self._line(run))

    def __enter__(self) -> _PlainView:
        return self

    def __exit__(self, *ending: object) -> None:
        """Lines need no end."""


class _Live:
    def __init__(self, console: Console, line: Callable[[CellRun], Text]) -> None:
        self._console = console
        self._line = line
        self._spinner = Spinner("dots")
        self._live = Live(
            console=console, get_renderable=self._draw, refresh_per_second=8, transient=True
        )

    def show(self, run: CellRun | None, of: Scheduler) -> None:
        if run is not None:
            self._console.print(self._line(run))
        self._spinner.update(text=Text(so_far(of)))

    def _draw(self) -> RenderableType:
        return Group(self._spinner)

    def __enter__(self) -> _Live:
        self._live.start()
        return self

    def __exit__(self, *ending: object) -> None:
        self._live.stop()
