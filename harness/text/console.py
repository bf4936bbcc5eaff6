"""A console whose lines are broken at words, and hold no control characters.

Names, keys, values and errors of a test may be anything: what a terminal would obey, or would turn
around, is printed as an escape. Into a pipe or a file a line stays one line.
"""

from __future__ import annotations

from typing import Any

from dynamesis.harness.text.printable import printable
from dynamesis.harness.text.wrapping import wrapped
from rich.console import Console
from rich.text import Text


class LineConsole(Console):
    """Prints a text as it is, without markup or highlighting."""

    def __init__(self, **options: Any) -> None:
        super().__init__(highlight=False, soft_wrap=True, markup=False, **options)

    def print(self, *objects: Any, **options: Any) -> None:
        """As rich's; a single text is broken at words where there is a terminal."""
        if len(objects) != 1 or not isinstance(objects[0], str | Text):
            super().print(*objects, **options)
            return
        text = _inert(objects[0])
        super().print(_folded(text, self.width) if self.is_terminal else text, **options)


def _inert(text: str | Text) -> Text:
    """The text without control characters; one that has some loses the styles of its parts."""
    if isinstance(text, str):
        return Text(printable(text))
    shown = printable(text.plain)
    return text if shown == text.plain else Text(shown, text.style)


def _folded(text: Text, width: int) -> Text:
    """The text with line ends where a line is too long."""
    lines: list[Text] = []
    for line in text.split("\n", allow_blank=True):
        places, indent = wrapped(line.plain, width)
        for number, part in enumerate(line.divide(places)):
            part.rstrip()
            lines.append(Text(indent).append_text(part) if number else part)
    return Text("\n").join(lines)
