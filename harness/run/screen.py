"""What the views of a test and of a campaign are made of: lines below each other, or a block that
is drawn anew in place."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol, Self

from dynamesis.harness.text.wrapping import INDENT, cuts
from rich.console import Console, ConsoleOptions, Group, RenderableType
from rich.live import Live
from rich.spinner import Spinner
from rich.text import Text

#: lines that one text may take
_LINES = 4


class Screen(Protocol):
    """Shows something within its context."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *ending: object) -> None: ...


class Lines:
    """A screen that has nothing to begin and nothing to end."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *ending: object) -> None:
        """Lines need no end."""


class Block:
    """A screen below all lines, drawn anew eight times a second by a thread of rich's own: what
    turns, with a text, and the lines below it."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self._spinner = Spinner("dots")
        self._live: Live | None = None

    def content(self) -> tuple[str, list[Text]] | None:
        """The text beside what turns, and the lines below; None while there is nothing."""
        raise NotImplementedError

    def _draw(self) -> RenderableType:
        found = self.content()
        if found is None:
            return self._spinner
        text, below = found
        self._spinner.update(text=Folded(Text(text)))
        return Group(self._spinner, *map(Folded, below))

    def __enter__(self) -> Self:
        self._live = Live(
            console=self.console, get_renderable=self._draw, refresh_per_second=8, transient=True
        )
        self._live.start()
        return self

    def __exit__(self, *ending: object) -> None:
        if self._live is not None:
            self._live.stop()


class Folded:
    """A text on as many lines as the terminal's width needs, at most a few, broken between its
    figures: no figure is cut from its name."""

    def __init__(self, text: Text) -> None:
        self.text = text

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Text]:
        lines = self.text.divide(cuts(self.text.plain, options.max_width))
        for number, line in enumerate(lines[:_LINES]):
            line.rstrip()
            if number == _LINES - 1 and len(lines) > _LINES:
                line.append(" \u2026")
            shown = Text(INDENT).append_text(line) if number else line
            shown.no_wrap, shown.overflow = True, "ellipsis"
            yield shown
