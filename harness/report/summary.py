"""The short verdict that ends a test or a check."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

WORDS = {True: "valid", False: "invalid", "unknown": "unknown"}
STYLES = {"valid": "bold green", "invalid": "bold red", "unknown": "bold yellow"}


def word(valid: Any) -> str:
    """`valid`, `invalid` or `unknown`."""
    return WORDS.get(valid, "unknown")


def lines(results: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """(style, text) of each line: the verdict, each anomaly with its count and first proof,
    and, where the verdict is unknown, every reason."""
    verdict = word(results["valid"])
    yield STYLES[verdict], verdict
    first = {anomaly["name"]: anomaly for anomaly in reversed(described(results))}
    for name, count in results["anomalies"].items():
        yield "bold", f"  {name}: {count}"
        if name in first:
            yield "", f"    {first[name]['why']}"
    if verdict == "unknown":
        for reason in reasons(results):
            yield "", f"  {reason}"


def described(results: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Every anomaly that a checker has described, in the order of the checkers."""
    return [
        anomaly
        for checker in results["checkers"].values()
        for anomaly in checker.get("anomalies", ())
    ]


def reasons(results: Mapping[str, Any]) -> list[str]:
    """Why nothing better than unknown can be said."""
    return [
        reason for checker in results["checkers"].values() for reason in checker.get("reasons", ())
    ]
