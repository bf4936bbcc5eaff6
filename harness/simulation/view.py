"""Shows a swarm while it runs: one line that keeps itself up to date on a terminal, a line every
few seconds elsewhere."""

from __future__ import annotations

import time

from dynamesis.harness.run.progress_view import Mode, is_live
from dynamesis.harness.simulation.page import counts
from dynamesis.harness.simulation.results import Tally
from rich.console import Console
from rich.status import Status

#: s between two lines, and between two changes of the one line
_EVERY, _OFTEN = 5.0, 0.2


class SwarmView:
    """Shows the tally within its context. `most`: how many schedules there will be."""

    def __init__(self, screen: Console, tally: Tally, most: int | None, mode: Mode) -> None:
        self._screen = screen
        self._tally = tally
        self._most = most
        self._quiet = mode is Mode.QUIET
        self._status: Status | None = None
        if is_live(screen, mode):
            self._status = Status("", console=screen)
        self._due = time.monotonic() + (_OFTEN if self._status else _EVERY)

    def show(self) -> None:
        """The tally has changed."""
        now = time.monotonic()
        if self._quiet or now < self._due:
            return
        self._due = now + (_OFTEN if self._status else _EVERY)
        found = ", ".join(self._tally.anomalies)
        of = f" of {self._most}" if self._most is not None else ""
        text = f"{counts(self._tally)}{of and f' ({self._tally.schedules}{of})'}"
        text += f"; {found}" if found else ""
        if self._status is not None:
            self._status.update(text)
        else:
            self._screen.print(text)

    def __enter__(self) -> SwarmView:
        if self._status is not None:
            self._status.start()
        return self

    def __exit__(self, *ending: object) -> None:
        if self._status is not None:
            self._status.stop()
