"""Charts that need no time axis of the test: staleness beside what PBS predicts, and how many keys
still disagreed after the heal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dynamesis.harness.report.pictures.svg import Drawing, short

#: pixels; as wide as a phone shows without scrolling (page.css makes a picture smaller there)
WIDTH, HEIGHT, LEFT, BOTTOM, TOP = 500, 230, 52, 190, 20


def staleness_chart(details: Mapping[str, Any]) -> Drawing | None:
    """By the time since the latest acknowledgement of its key, the share of gets that showed
    everything; the line is what PBS predicts (1 minus the chance that a read quorum misses the
    latest write's). None where it was not measured."""
    fresh = details.get("fresh_by_ms_since_ack")
    if not isinstance(fresh, dict) or not fresh:
        return None
    shares = {str(k).lstrip(">="): float(v) for k, v in fresh.items()}
    miss = details.get("pbs_miss")
    drawing = Drawing("share of fresh gets by ms since the latest write", WIDTH, HEIGHT)
    low = min([*shares.values(), 1 - miss if isinstance(miss, int | float) else 1.0])
    floor = min(0.9, max(0.0, int(low * 10 - 0.5) / 10))

    def y(share: float) -> float:
        return BOTTOM - (BOTTOM - TOP) * (share - floor) / (1 - floor)

    for share in (floor, (floor + 1) / 2, 1.0):
        drawing.line(LEFT, y(share), WIDTH, y(share))
        drawing.text(LEFT - 6, y(share) + 4, f"{share:.0%}", "soft", "end")
    step = (WIDTH - LEFT) / len(shares)
    for i, (since, share) in enumerate(shares.items()):
        x = LEFT + step * i
        height = BOTTOM - y(share)
        drawing.rect(x + 6, y(share), step - 12, max(height, 1), "ok", hint=f"{share:.2%}")
        drawing.text(x + step / 2, BOTTOM + 16, since, "soft", "middle")
    if isinstance(miss, int | float):
        drawing.path([(LEFT, y(1 - miss)), (WIDTH, y(1 - miss))], "badline dash")
        words = f"PBS predicts {1 - miss:.1%}"
        drawing.text(WIDTH - 4, y(1 - miss) - 6, words, "bad halo", "end")
    words = "at least so many ms since the latest write of the key was acknowledged"
    drawing.text(LEFT, BOTTOM + 34, words, "soft")
    return drawing


def convergence_chart(repaired: Mapping[str, Any]) -> Drawing | None:
    """How many keys still waited for their last copy, by s since the last fault ended."""
    slowest = repaired.get("slowest")
    if not isinstance(slowest, dict) or not slowest:
        return None
    took = sorted(float(each["s"]) for each in slowest.values())
    keys = int(repaired["keys"])
    longest = max(took[-1], 1e-3)
    drawing = Drawing("keys that still disagree after the heal", WIDTH, HEIGHT)

    def place(s: float, left: int) -> tuple[float, float]:
        return LEFT + (WIDTH - LEFT - 10) * s / longest, BOTTOM - (BOTTOM - TOP) * left / keys

    points = [place(0.0, keys)]
    left = len(took)
    points += [place(took[0], keys)] if len(took) == keys else [place(took[0], left)]
    for s in took:
        points.append(place(s, left))
        left -= 1
        points.append(place(s, left))
    for value in (0, keys):
        drawing.line(LEFT, place(0, value)[1], WIDTH, place(0, value)[1])
        drawing.text(LEFT - 6, place(0, value)[1] + 4, short(value, 8), "soft", "end")
    drawing.path(points, "thin ok")
    for s in (0.0, longest):
        x = place(s, 0)[0]
        drawing.text(x, BOTTOM + 16, f"{s:.3g} s", "soft", "start" if s == 0 else "end")
    drawing.text(LEFT, BOTTOM + 34, "s since the last fault ended", "soft")
    return drawing
