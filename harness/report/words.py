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
_MOMENT = re.compile(r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)(?:\.\d+)?(Z|[+-]\d\d:\d\d)$")
#: fields of a history whose names say little, as pages have them
_FIELDS = {"bit": "took effect", "not_felt": "not felt", "in_vain": "in vain"}
#: tables in tables that are spelled in words
_DEEP = 5


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


def moment(text: Any) -> str:
    """A stored instant as pages have it: "2026-01-31 02:17:00 UTC"; another text short."""
    found = _MOMENT.match(text) if isinstance(text, str) else None
    if found is None:
        return " ".join(clip(str(text))[:40].split())
    return f"{found[1]} {found[2]} {found[3] if found[3] not in ('Z', '+00:00') else 'UTC'}"


def brief(value: Any) -> str | None:
    """A value in some words; None if it is short enough to be shown as JSON."""
    if not isinstance(value, dict | list) or len(json.dumps(value)) <= _BRIEF:
        return None
    if isinstance(value, list):
        return counted(len(value), "entry", "entries")
    words = ", ".join(
        f"{_named(name)} {_word(each)}" for name, each in islice(value.items(), _BRIEF)
    )
    return words if len(words) <= _BRIEF else words[: _BRIEF - 1] + "\u2026"


def facts_of(value: Any) -> str:
    """A table or a list as words: "fault 2; member kill.one; nodes n2, n3", lists in a list parted
    by bars, a table in a table in brackets; empty for any other value."""
    return _spelled(value, 0) if isinstance(value, dict | list) else ""


def _named(field: str) -> str:
    """A field in the words of the pages."""
    return _FIELDS.get(field, field)


def _spelled(value: Any, depth: int) -> str:
    if depth < _DEEP and isinstance(value, dict):
        text = "; ".join(f"{_named(k)} {_spelled(each, depth + 1)}" for k, each in value.items())
        return f"({text})" if depth and text else text or "none"
    if depth < _DEEP and isinstance(value, list):
        mark = " | " if any(isinstance(each, dict | list) for each in value) else ", "
        return mark.join(_spelled(each, depth + 1) for each in value) or "none"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def _word(value: Any) -> str:
    if isinstance(value, dict | list) and len(json.dumps(value)) > _BRIEF // 3:
        return f"({len(value)})"
    return value if isinstance(value, str) else json.dumps(value)
