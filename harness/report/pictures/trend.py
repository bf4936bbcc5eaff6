"""Nights as a picture: a bar for each, by verdicts; below it latency and time to converge."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dynamesis.checkers.history.counts import counted
from dynamesis.harness.report.pictures.svg import Drawing, short

#: pixels
WIDTH, LEFT, BAR, TALL, GAP = 760, 90, 110, 60, 34
_KINDS = (("invalid", "badfill"), ("error", "fail"), ("unknown", "info"), ("valid", "good"))
_LINES = (("p99_ms", "p99, ms"), ("converged_s", "converged, s"))


def trend_chart(nights: Sequence[Mapping[str, Any]]) -> Drawing | None:
    """None for one night alone: that is not a trend."""
    if len(nights) < 2:
        return None
    drawing = Drawing("nights, oldest first", WIDTH, BAR + len(_LINES) * (TALL + GAP) + 40)
    step = (WIDTH - LEFT) / len(nights)
    most = max(1, *(sum(_count(each, kind) for kind, _ in _KINDS) for each in nights))
    drawing.text(LEFT - 8, 14, counted(most, "test"), "soft", "end")
    for i, each in enumerate(nights):
        y = float(BAR)
        for kind, cls in reversed(_KINDS):
            if count := _count(each, kind):
                tall = (BAR - 6) * count / most
                y -= tall
                hint = f"{short(each['start'], 30)}: {count} {kind}"
                drawing.rect(LEFT + i * step + 1, y, max(step - 2, 1), tall, cls, hint=hint)
    for row, (name, label) in enumerate(_LINES):
        _line(drawing, nights, name, label, BAR + GAP + row * (TALL + GAP), step)
    bottom = BAR + len(_LINES) * (TALL + GAP) + 28
    drawing.text(LEFT, bottom, short(nights[0]["start"][:10]), "soft")
    drawing.text(WIDTH - 4, bottom, short(nights[-1]["start"][:10]), "soft", "end")
    return drawing


def _line(
    drawing: Drawing,
    nights: Sequence[Mapping[str, Any]],
    name: str,
    label: str,
    top: float,
    step: float,
) -> None:
    values = [(i, float(n[name])) for i, n in enumerate(nights) if isinstance(n[name], int | float)]
    drawing.text(LEFT - 8, top + 14, label, "soft", "end")
    drawing.line(LEFT, top + TALL, WIDTH, top + TALL)
    if not values:
        drawing.text(LEFT + 4, top + TALL - 8, "not measured", "soft")
        return
    most = max(value for _, value in values) or 1.0
    drawing.text(LEFT - 8, top + 30, f"{most:.4g}", "soft", "end")
    points = [(LEFT + (i + 0.5) * step, top + TALL - TALL * v / most) for i, v in values]
    drawing.path(points, "thin ok")
    for (x, y), (i, value) in zip(points, values, strict=True):
        drawing.circle(x, y, 3, "ok", f"{short(nights[i]['start'], 30)}: {value:.4g}")


def _count(night: Mapping[str, Any], kind: str) -> int:
    count = night["counts"].get(kind, 0)
    return count if isinstance(count, int) else 0
