"""The short verdict that ends a test or a check."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from dynamesis.harness.report.situations import in_a_line
from dynamesis.harness.report.spoken import spoken
from dynamesis.harness.report.words import counted
from dynamesis.harness.results.documents import JsonObject
from dynamesis.harness.text.printable import printable as printable
from rich.console import Console
from rich.padding import Padding
from rich.text import Text

WORDS = {True: "valid", False: "invalid", "unknown": "unknown"}
STYLES = {"valid": "bold green", "invalid": "bold red", "unknown": "bold yellow"}


def word(valid: Any) -> str:
    """`valid`, `invalid` or `unknown`."""
    return WORDS.get(valid, "unknown")


def lines(results: Mapping[str, Any]) -> Iterator[tuple[int, str, str]]:
    """(indent, style, text) of each line: the verdict, which is three lines to read aloud where it
    is invalid; each anomaly with its count and first proof; and, where the verdict is unknown,
    every reason."""
    verdict = word(results["valid"])
    yield from headline(results)
    if verdict == "invalid":
        yield 0, "", ""
    first = {anomaly["name"]: anomaly for anomaly in reversed(described(results))}
    for name, count in results["anomalies"].items():
        yield 2, "bold", f"{name}: {count}"
        if name in first:
            yield 4, "", first[name]["why"]
    if verdict == "unknown":
        for reason in dict.fromkeys(reasons(results)):
            yield 2, "", reason


def headline(results: Mapping[str, Any]) -> Iterator[tuple[int, str, str]]:
    """The first lines: all that a quiet command prints of a verdict."""
    verdict = word(results["valid"])
    if verdict != "invalid":
        yield 0, STYLES[verdict], verdict
        return
    first, *rest = spoken(results)
    yield 0, STYLES[verdict], f"{verdict}: {first}"
    yield from ((0, "", each) for each in rest)


def operations(figures: Mapping[str, Any]) -> str:
    """How many operations of the load were acknowledged, and by f, of all phases; while faults
    were active and after them, where there were any."""
    by_f = []
    for f, n in figures["operations"].items():
        faults = f"{n['during_faults']:,} during faults, {n['after_faults']:,} after"
        by_f.append(f"{f} {n['acknowledged']:,}" + f" ({faults})" * bool(figures["faults"]))
    shown = f"{figures['acknowledged']:,} of {counted(figures['tried'], 'operation')} acknowledged"
    return f"{shown}: {', '.join(by_f)}" if by_f else shown


def compared_on(compared: Mapping[str, Any]) -> tuple[str, str]:
    """How many keys were compared, and the words after it."""
    on = counted(compared["replicas"], "replica")
    count, _, keys = counted(compared["keys"], "key").partition(" ")
    return count, f"{keys} compared on {on}"


def evidence(figures: Mapping[str, Any]) -> str:
    """What the verdict rests on, in a line; of what a history cannot have, nothing."""
    parts = [operations(figures)]
    if faults := figures["faults"]:
        took = sum(fault["took_effect"] is True for fault in faults)
        parts.append(f"{took} of {counted(len(faults), 'fault')} took effect")
    if died := figures["died"]:
        parts.append(f"died: {', '.join(died)}")
    if (final := figures["final_reads"])["asked"]:
        parts.append(f"{final['answered']:,} of {counted(final['asked'], 'final read')} answered")
    if (compared := figures["compared"])["keys"]:
        parts.append(" ".join(compared_on(compared)))
    if final["asked"] or faults:
        floor = figures["floor"]
        parts.append(
            f"floor {counted(floor['acknowledged'], 'operation')}, "
            f"{counted(floor['writes'], 'write')}, "
            f"{floor['share']:.0%}"
        )
    return f"evidence: {'; '.join(parts)}"


#: ms by which one operation must have been late for a load to count as behind
_BEHIND = 100.0


def behind(stats: Mapping[str, Any]) -> str:
    """By how much the load fell behind its schedule; empty where it kept up."""
    late = stats.get("behind")
    if late is None or late["late_ms"]["most"] < _BEHIND:
        return ""
    ms = late["late_ms"]
    return (
        f"the load fell behind: {late['operations']:,} of "
        f"{counted(stats['operations'], 'operation')} began late, "
        f"half of them by {ms['p50']:.0f} ms, 1% by {ms['p99']:.0f} ms, one by "
        f"{ms['most']:.0f} ms; latencies count from when each was due"
    )


def print_results(
    console: Console, results: Mapping[str, Any], figures: bool = True, short: bool = False
) -> None:
    """Print the verdict, wrapped where there is a terminal to wrap it for; with `figures` also
    what it rests on, whatever it is; `short` leaves only the first lines."""
    shown = list(headline(results) if short else lines(results))
    figures = figures and not short
    if figures and "evidence" in results:
        shown.append((2, "", evidence(results["evidence"])))
    if figures and (late := behind(results.get("stats") or {})):
        shown.append((2, "", late))
    if figures and (reached := in_a_line(results)):
        shown.append((2, "", reached))
    if figures and (skipped := results.get("skipped")):
        shown.append((2, "", f"the target cannot do: {', '.join(skipped)} (the report has why)"))
    for indent, style, line in shown:
        text = printable(line)
        if console.is_terminal:
            console.print(Padding(Text(text, style), (0, 0, 0, indent)), soft_wrap=False)
        else:
            console.print(" " * indent + text, markup=False, highlight=False, soft_wrap=True)


def left_out(results: Mapping[str, Any]) -> str:
    """The checkers that did not judge, each with the reason, in a line; "nothing skipped"."""
    skipped = [
        f"{name} ({checker['skipped']})"
        for name, checker in results["checkers"].items()
        if checker.get("skipped")
    ]
    return f"skipped: {', '.join(skipped)}" if skipped else "nothing skipped"


def described(results: Mapping[str, Any]) -> list[JsonObject]:
    """Every anomaly that a checker has described, in the order of the checkers."""
    return [
        anomaly
        for checker in results["checkers"].values()
        for anomaly in checker.get("anomalies", ())
    ]


def reasons(results: Mapping[str, Any]) -> list[str]:
    """The reasons why a verdict is unknown."""
    return [
        reason for checker in results["checkers"].values() for reason in checker.get("reasons", ())
    ]
