"""Two tests side by side: what was asked for and differs, and what came of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from dynamesis.harness.report.pictures.svg import short
from dynamesis.harness.report.summary import word
from dynamesis.harness.report.words import facts_of, moment
from dynamesis.harness.results.documents import JsonObject
from dynamesis.harness.results.results import RESULTS, TEST
from dynamesis.harness.serve.files import load, table

#: characters of a value
_VALUE = 120
_ASKED = ("target", "workload", "links_used", "seed")


def beside(root: Path, left: Path, right: Path) -> list[tuple[str, str, str, bool]]:
    """(what, left, right, whether they differ) of each line. Options are listed only where they
    differ."""
    one, other = (dict(_facts(root, folder)) for folder in (left, right))
    found = []
    for name in dict.fromkeys([*one, *other]):
        pair = one.get(name, ""), other.get(name, "")
        if pair[0] != pair[1] or (any(pair) and not name.startswith("--")):
            found.append((name, *pair, pair[0] != pair[1]))
    return found


def _facts(root: Path, folder: Path) -> Iterator[tuple[str, str]]:
    test, results = load(root, folder / TEST), load(root, folder / RESULTS)
    yield "verdict", word(results["valid"]) if isinstance(results.get("valid"), bool | str) else ""
    yield from ((f"anomaly {short(k, 60)}", short(v)) for k, v in _items(results, "anomalies"))
    yield from ((name.replace("_", " "), _value(test.get(name))) for name in _ASKED)
    yield "start", moment(test.get("start", ""))
    for name, value in _items(test, "spec"):
        yield f"--{short(name, 40).replace('_', '-')}", _value(value)
    figures = table(results.get("evidence"))
    yield "operations acknowledged", f"{figures.get('acknowledged', '')}"[:20]
    stats = table(results.get("stats"))
    yield "took", _figure(stats.get("seconds"), " s")
    for f, each in _items(stats, "by_f"):
        yield from _operations(short(f, 40), table(each))
    details = table(table(table(results.get("checkers")).get("staleness")).get("details"))
    yield "converged after", _figure(details.get("converged_s"), " s")


def _operations(f: str, figures: JsonObject) -> Iterator[tuple[str, str]]:
    latency = table(figures.get("latency_ms"))
    yield f"{f}: count", short(figures.get("count", ""), 20)
    yield f"{f}: availability", _figure(figures.get("availability"))
    yield from ((f"{f}: {name}", _figure(latency.get(name), " ms")) for name in ("p50", "p99"))


def _figure(value: object, unit: str = "") -> str:
    """A figure with at most four digits that count; another value as it is, none as nothing."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return _value(value)
    return f"{value if isinstance(value, int) else f'{value:.4g}'}{unit}"[:20]


def _value(value: object) -> str:
    """A value in words, short; none as nothing."""
    if value is None:
        return ""
    return short(facts_of(value) if isinstance(value, dict | list) else value, _VALUE)


def _items(of: Mapping[str, Any], name: str) -> list[tuple[str, Any]]:
    return list(table(of.get(name)).items())
