"""Shows a test while it runs: live on a terminal, plain lines elsewhere, or nothing.

A ProgressCounts knows everything that is shown; a view only draws it. States are words as well as
colours, so that nothing is lost where there are none (NO_COLOR).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from enum import Enum
from typing import Protocol

from dynamesis.checkers.history.op import Op
from dynamesis.harness.run.node_states import DEAD, UP
from dynamesis.harness.run.progress import ProgressCounts, alarm, figures, line
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.spinner import Spinner
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


class TestView(Protocol):
    """Shows a test while it runs."""

    def observe(self, op: Op) -> None: ...

    def __enter__(self) -> TestView: ...

    def __exit__(self, *ending: object) -> None: ...


def console(mode: Mode) -> Console:
    """A console that prints text as it is; without colours where that is wanted."""
    plain = mode is Mode.PLAIN
    return Console(
        highlight=False, soft_wrap=True, markup=False, color_system=None if plain else "auto"
    )


def is_live(console: Console, mode: Mode) -> bool:
    """Whether what is shown may be drawn anew in place."""
    return mode is Mode.AUTO and console.is_terminal and not console.is_dumb_terminal


def view(console: Console, tally: ProgressCounts, mode: Mode = Mode.AUTO) -> TestView:
    """The view that this console and this mode want."""
    if mode is Mode.QUIET:
        return QuietView()
    return LiveView(console, tally) if is_live(console, mode) else PlainView(console.print, tally)


class QuietView:
    """Shows nothing."""

    def observe(self, op: Op) -> None:
        """Nothing is counted."""

    def __enter__(self) -> QuietView:
        return self

    def __exit__(self, *ending: object) -> None:
        """There is nothing to end."""


class PlainView:
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
        now = op.time / 1e9
        shown = (self._tally.phase, tuple(self._tally.faults.values()))
        if shown != self._shown or (self._tally.phase == "load" and now >= self._due):
            self._shown, self._due = shown, now + _EVERY
            self._say(line(self._tally, op.time))

    def __enter__(self) -> PlainView:
        return self

    def __exit__(self, *ending: object) -> None:
        """Lines need no end."""


class LiveView:
    """Three lines that keep themselves up to date, by a thread of rich's own: figures, the nodes,
    the faults that are active."""

    def __init__(self, console: Console, tally: ProgressCounts) -> None:
        self._tally = tally
        self._spinner = Spinner("dots")
        self._observed_at = time.monotonic_ns()
        self._live = Live(
            console=console, get_renderable=self._draw, refresh_per_second=8, transient=True
        )

    def observe(self, op: Op) -> None:
        self._tally.observe(op)
        if (text := alarm(op)) is not None:
            self._live.console.print(text)
        self._observed_at = time.monotonic_ns()

    def _draw(self) -> RenderableType:
        now = self._tally.now + time.monotonic_ns() - self._observed_at
        self._spinner.update(text=_whole(Text(figures(self._tally, now))))
        return Group(self._spinner, *below(self._tally))

    def __enter__(self) -> LiveView:
        self._live.start()
        return self

    def __exit__(self, *ending: object) -> None:
        self._live.stop()


def below(tally: ProgressCounts) -> list[Text]:
    """The row of nodes, where they are known, and the faults; cut at the edge of the terminal."""
    row = Text("  nodes  ")
    states = list(tally.nodes.row())  # this runs in a thread beside the test's
    for number, (node, state) in enumerate(states):
        row.append("  " * bool(number) + f"{node} ").append(state, _STYLES.get(state, "yellow"))
    faults = Text(f"  faults {', '.join(list(tally.faults.values())) or 'none'}")
    return [_whole(each) for each in ([row, faults] if states else [faults])]


def _whole(text: Text) -> Text:
    text.no_wrap, text.overflow = True, "ellipsis"
    return text
