"""Shows a test while it runs: live on a terminal, plain lines elsewhere, or nothing.

A ProgressCounts knows everything that is shown; a view only draws it. States are words as well as
colours, so that nothing is lost where there are none (NO_COLOR).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from enum import Enum
from typing import Protocol

from dynamesis.checkers.history.op import Op
from dynamesis.harness.run.node_states import DEAD, UP
from dynamesis.harness.run.progress import ProgressCounts, alarm, figures, line
from dynamesis.harness.run.screen import Block, Lines, Screen
from dynamesis.harness.text.console import LineConsole
from rich.console import Console
from rich.text import Text

#: Seconds between two plain lines while a phase lasts.
_EVERY = 2.0
_STYLES = {UP: "green", "cut": "magenta", "paused": "yellow", "down": "red", DEAD: "bold red"}


class Mode(Enum):
    """How much is shown. AUTO: live where there is a terminal that can, else plain lines."""

    AUTO = "auto"
    PLAIN = "plain"
    QUIET = "quiet"

    @classmethod
    def of(cls, quiet: bool, plain: bool) -> Mode:
        """By flags; quiet is the stronger one."""
        return cls.QUIET if quiet else cls.PLAIN if plain else cls.AUTO


class TestView(Screen, Protocol):
    """Shows a test while it runs."""

    def observe(self, op: Op) -> None: ...

    def performed(self, counts: Mapping[str, int], now: int) -> None: ...


def console(mode: Mode) -> Console:
    """A console for lines; without colours where that is wanted."""
    return LineConsole(color_system=None if mode is Mode.PLAIN else "auto")


def is_live(console: Console, mode: Mode) -> bool:
    """Whether what is shown may be drawn anew in place."""
    return mode is Mode.AUTO and console.is_terminal and not console.is_dumb_terminal


def view(console: Console, tally: ProgressCounts, mode: Mode = Mode.AUTO) -> TestView:
    """The view that this console and this mode want."""
    if mode is Mode.QUIET:
        return QuietView()
    return LiveView(console, tally) if is_live(console, mode) else PlainView(console.print, tally)


class QuietView(Lines):
    """Shows nothing."""

    def observe(self, op: Op) -> None:
        """Nothing is counted."""

    def performed(self, counts: Mapping[str, int], now: int) -> None:
        """Nothing is counted."""


class PlainView(Lines):
    """A line when a phase begins, when a fault comes or goes, and every two seconds."""

    def __init__(self, say: Callable[[str], None], tally: ProgressCounts) -> None:
        self._say = say
        self._tally = tally
        self._shown: tuple[object, ...] = ()
        self._due = 0.0

    def observe(self, op: Op) -> None:
        self._tally.observe(op)
        if (text := alarm(op)) is not None:
            self._say(text)
        self._show(op.time)

    def performed(self, counts: Mapping[str, int], now: int) -> None:
        self._tally.performed(counts, now)
        self._show(now)

    def _show(self, time: int) -> None:
        """A line, where there is something new."""
        now = time / 1e9
        shown = (self._tally.phase, tuple(self._tally.faults.values()))
        if shown != self._shown or (self._tally.phase == "load" and now >= self._due):
            self._shown, self._due = shown, now + _EVERY
            self._say(line(self._tally, time))


class LiveView(Block):
    """Three lines that keep themselves up to date: figures, the nodes, the faults that are
    active."""

    def __init__(self, console: Console, tally: ProgressCounts) -> None:
        super().__init__(console)
        self._tally = tally
        self._observed_at = time.monotonic_ns()

    def observe(self, op: Op) -> None:
        self._tally.observe(op)
        if (text := alarm(op)) is not None:
            self.console.print(text)
        self._observed_at = time.monotonic_ns()

    def performed(self, counts: Mapping[str, int], now: int) -> None:
        self._tally.performed(counts, now)
        self._observed_at = time.monotonic_ns()

    def content(self) -> tuple[str, list[Text]]:
        now = self._tally.now + time.monotonic_ns() - self._observed_at
        return figures(self._tally, now), below(self._tally)


def below(tally: ProgressCounts) -> list[Text]:
    """The row of nodes, where they are known, and the faults."""
    row = Text("  nodes  ")
    states = list(tally.nodes.row())  # this runs in a thread beside the test's
    for number, (node, state) in enumerate(states):
        row.append("  " * bool(number) + f"{node} ").append(state, _STYLES.get(state, "yellow"))
    faults = Text(f"  faults {', '.join(list(tally.faults.values())) or 'none'}")
    return [row, faults] if states else [faults]
