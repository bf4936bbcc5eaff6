"""Shows a swarm while it runs: a text that keeps itself up to date on a terminal, a line every
few seconds elsewhere."""

from __future__ import annotations

import time

from dynamesis.harness.report.words import counted
from dynamesis.harness.run.progress_view import Mode, is_live
from dynamesis.harness.run.screen import Block
from dynamesis.harness.simulation.page import verdicts
from dynamesis.harness.simulation.results import Tally
from rich.console import Console
from rich.text import Text

#: s between two lines, and between two changes of the text
_EVERY, _OFTEN = 5.0, 0.2


class _Live(Block):
    """What `show` of its owner made last."""

    text = ""

    def content(self) -> tuple[str, list[Text]] | None:
        return (self.text, []) if self.text else None


class SwarmView:
    """Shows the tally within its context. `most`: how many schedules there will be; `limit`: the
    seconds that they may take."""

    def __init__(
        self, screen: Console, tally: Tally, most: int | None, mode: Mode,
        limit: float | None = None,
    ) -> None:  # fmt: skip
        self._screen = screen
        self._tally = tally
        self._most = most
        self._limit = limit
        self._began = time.monotonic()
        self._quiet = mode is Mode.QUIET
        self._live = _Live(screen) if is_live(screen, mode) else None
        self._due = time.monotonic() + (_OFTEN if self._live else _EVERY)

    def show(self) -> None:
        """The tally has changed."""
        now = time.monotonic()
        if self._quiet or now < self._due:
            return
        self._due = now + (_OFTEN if self._live else _EVERY)
        found = ", ".join(self._tally.anomalies)
        text = progress(self._tally, now - self._began, self._most, self._limit)
        text += f"; {found}" if found else ""
        self._draw(text)

    def shrinking(self, done: int, of: int) -> None:
        """So many of the schedules that failed are shrunk: that may take longer than finding
        them."""
        if of > done and not self._quiet:
            self._draw(f"shrinking what failed: {done} of {of} done")

    def _draw(self, text: str) -> None:
        if self._live is not None:
            self._live.text = text
        else:
            self._screen.print(text)

    def __enter__(self) -> SwarmView:
        if self._live is not None:
            self._live.__enter__()
        return self

    def __exit__(self, *ending: object) -> None:
        if self._live is not None:
            self._live.__exit__(*ending)


def progress(tally: Tally, elapsed: float, most: int | None, limit: float | None) -> str:
    """`7 of 120 schedules, 0:48 left; 27.6 a minute: 7 valid, 0 invalid, 0 unknown`: `elapsed` and
    `limit` in seconds, and what ends first counts."""
    done = tally.schedules
    ends = [limit - elapsed] if limit is not None else []
    if most is not None and done:
        ends.append((most - done) * elapsed / done)
    of = f"{done:,} of " if most is not None else ""
    left = f", {_clock(max(0.0, min(ends)))} left" if ends else ""
    schedules = counted(done if most is None else most, "schedule")
    return f"{of}{schedules}{left}; {tally.per_minute:g} a minute: {verdicts(tally)}"


def _clock(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
