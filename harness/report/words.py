"""Values of any size in the words that a page has room for."""

from __future__ import annotations

import json
import re
from itertools import islice
from typing import Any

from dynamesis.checkers.history.counts import counted as counted
from dynamesis.checkers.history.counts import share as share
from dynamesis.checkers.history.counts import times as times
from dynamesis.harness.text.printable import printable

#: characters of a summary and of JSON that needs none, and of any text from a test
_BRIEF, _LONGEST = 100, 4_000


def clip(value: Any) -> str:
    """A text, or another value as JSON, without control characters, cut where it is long."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    if len(text) <= _LONGEST:
        return printable(text)
    return f"{printable(text[:_LONGEST])}\u2026 ({len(text):,} characters)"


def shown(value: Any) -> Any:
    """What a template prints (jinja2's `finalize`): a text without control characters and what
    turns the text beside it around."""
    return printable(value) if type(value) is str else value


def code(text: str) -> str:
    """A text as a code span of Markdown, in which nothing has a meaning."""
    line = " ".join(printable(text).split())
    fence = "`" * (1 + max((len(run) for run in re.findall("`+", line)), default=0))
    return f"{fence} {line} {fence}" if len(fence) > 1 else f"`{line}`"


def inert(text: str) -> str:
    """A text as a line of Markdown, without markup of its own."""
    return re.sub(r"[<&`\[\\]", lambda mark: "\\" + mark[0], " ".join(printable(text).split()))


def brief(value: Any) -> str | None:
    """A value in some words; None if it is short enough to be shown as JSON."""
    if not isinstance(value, dict | list) or len(json.dumps(value)) <= _BRIEF:
        return None
    if isinstance(value, list):
        return counted(len(value), "entry", "entries")
    words = ", ".join(f"{name} {_word(each)}" for name, each in islice(value.items(), _BRIEF))
    return words if len(words) <= _BRIEF else words[: _BRIEF - 1] + "\u2026"


def _word(value: Any) -> str:
    if isinstance(value, dict | list) and len(json.dumps(value)) > _BRIEF // 3:
        return f"({len(value)})"
    return value if isinstance(value, str) else json.dumps(value)
