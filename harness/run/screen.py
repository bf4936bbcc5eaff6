"""What the views of a test and of a campaign are made of: lines below each other, or a block that
is drawn anew in place."""

from __future__ import annotations

from typing import Protocol, Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.spinner import Spinner
from rich.text import Text


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
        self._spinner.update(text=whole(Text(text)))
        return Group(self._spinner, *below)

    def __enter__(self) -> Self:
        self._live = Live(
            console=self.console, get_renderable=self._draw, refresh_per_second=8, transient=True
        )
        self._live.start()
        return self

    def __exit__(self, *ending: object) -> None:
        if self._live is not None:
            self._live.stop()


def whole(text: Text) -> Text:
    """On one line, cut at the edge of the terminal."""
    text.no_wrap, text.overflow = True, "ellipsis"
    return text
