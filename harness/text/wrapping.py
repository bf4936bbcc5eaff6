"""Where a line for a terminal is broken: between its figures where it has some, else at words.

What is to be copied, such as a command or a path, gets no line end of ours: a terminal shows it on
several rows, and copies it as one line.
"""

from __future__ import annotations

import re

#: where a line may be broken: between its figures, after a mark; at any word
_FIGURES = re.compile(r" {2,}|(?<=[,;:]) ")
_WORDS = re.compile(r" +")
#: how the lines below a line of figures begin
INDENT = "    "
#: what a line begins with that the lines below it leave free
_BEGIN = re.compile(r" *(?:[-*] )?")
#: what is to be copied: a command, a path beside its label
_COPIED = re.compile(r" *again  |(?:.*(?:: |  |`))?dynamesis [a-z]+(?: |`|$)| *[a-z]+ {2,}\S+$")


def cuts(text: str, width: int) -> list[int]:
    """Where a line of figures is broken so that none is longer than `width`, if its parts allow
    that: no figure is cut from its name."""
    return _fill(text, width, len(INDENT), _FIGURES)


def wrapped(line: str, width: int) -> tuple[list[int], str]:
    """Where a line is broken, and what the lines below the first begin with; words that are longer
    than a line stay whole, as does what is to be copied."""
    begin = _BEGIN.match(line)
    indent = len(begin[0]) if begin else 0
    if len(line) <= width or (_COPIED.match(line) and line[:1] != "|"):
        return [], ""
    if line[:1] == "|":  # a row of a table in Markdown
        return _fill(line, width, len(INDENT), _WORDS), INDENT
    if "  " not in line[indent:].rstrip():
        return _fill(line, width, indent, _WORDS), " " * indent
    found: list[int] = []
    starts = [0, *cuts(line, width)]
    for start, end in zip(starts, [*starts[1:], len(line)], strict=True):
        room = width - len(INDENT) if start else width
        parts = _fill(line[start:end], room, 0 if start else len(INDENT), _WORDS)
        found += [*([start] if start else []), *(start + part for part in parts)]
    return found, INDENT


def _fill(text: str, width: int, indent: int, breaks: re.Pattern[str]) -> list[int]:
    """The places between parts at which a line begins: the first is `width` wide, the others have
    `indent` less."""
    found: list[int] = []
    start, fits, room = 0, 0, width
    first = len(text) - len(text.lstrip())
    ends = (each.end() for each in breaks.finditer(text, first))
    for end in [*ends, len(text)]:
        if len(text[start:end].rstrip()) > room and fits > start:
            found.append(fits)
            start, room = fits, width - indent
        fits = end
    return found
