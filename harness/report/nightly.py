"""What a night has shown, as data: nightly.json, from which the page and the summary are made.

The matrix as rates of failure, what is new, the cells that fail only now and then with their rates
over all nights that are known, a row for each night, and the zoo's table.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from dynamesis.harness.report.budgets import interval_text
from dynamesis.harness.report.words import code, counted, inert
from dynamesis.harness.results.documents import JsonObject
from dynamesis.harness.results.interval import interval

CampaignResults = Mapping[str, Any]
News = Mapping[str, Sequence[Mapping[str, Any]]]

#: nights that are looked back upon
NIGHTS = 60
_BAD = ("invalid", "error")
_ORDER = ("invalid", "error", "unknown", "valid", "not run")


def nightly(
    results: CampaignResults,
    news: News,
    before: Sequence[CampaignResults] = (),
    zoo: CampaignResults | None = None,
) -> JsonObject:
    """`before`: the campaigns of this name until then, oldest first; `zoo`: a zoo.json."""
    nights = [*before[-NIGHTS:], results]
    return {
        "name": results["name"],
        "start": results["start"],
        "seconds": results["seconds"],
        "verdict": results["verdict"],
        "interrupted": results["interrupted"],
        "counts": results["counts"],
        "compared": str(before[-1].get("start", "")) if before else None,
        "new": [_failure(cell) for cell in news["new"]],
        "still": [_failure(cell) for cell in news["still"]],
        "fixed": [cell["cell"] for cell in news["fixed"]],
        "flaky": flaky(nights),
        "matrix": matrix(results["cells"]),
        "omitted": dict(results.get("omitted") or {}),
        "shards": list(results.get("shards") or ()),
        "nights": [night(each) for each in nights],
        "zoo": None if zoo is None else bugs(zoo),
    }


def matrix(cells: Iterable[CampaignResults]) -> list[JsonObject]:
    """A row for each configuration, workload and nemesis: how many seeds failed of how many."""
    found: dict[tuple[str, str, str], JsonObject] = {}
    for cell in cells:
        at = (str(cell["config"]), str(cell["workload"]), str(cell["nemesis"]))
        names = dict(zip(("config", "workload", "nemesis"), at, strict=True))
        row = found.setdefault(at, {**names, "failed": 0, "seeds": 0, "worst": "not run"})
        row["seeds"] += 1
        row["failed"] += cell["verdict"] in _BAD
        row["worst"] = min(row["worst"], str(cell["verdict"]), key=_rank)
    return list(found.values())


def flaky(nights: Iterable[CampaignResults]) -> list[JsonObject]:
    """The cells that failed in some of their runs and were valid in others, most often first:
    {cell, failed, tried, rate, low, high, nights}, low to high being the 95% interval of the rate.
    Runs that were unknown do not count."""
    runs: dict[str, list[str]] = {}
    seen: dict[str, int] = {}
    for each in nights:
        for cell in _cells(each):
            verdicts = [str(run.get("verdict")) for run in cell.get("runs") or ()]
            runs.setdefault(cell["cell"], []).extend(verdicts)
            seen[cell["cell"]] = seen.get(cell["cell"], 0) + bool(verdicts)
    found = [_rate(name, verdicts, seen[name]) for name, verdicts in runs.items()]
    some = [each for each in found if 0 < each["failed"] < each["tried"]]
    return sorted(some, key=lambda each: -each["rate"])


def night(results: CampaignResults) -> JsonObject:
    """One night in a row of figures: {start, verdict, counts, p99_ms, converged_s, minutes}."""
    measures = results.get("measures")
    measures = measures if isinstance(measures, dict) else {}
    counts = results.get("counts")
    seconds = results.get("seconds")
    return {
        "start": str(results.get("start", "")),
        "verdict": str(results.get("verdict", "damaged")),
        "counts": counts if isinstance(counts, dict) else {},
        "p99_ms": measures.get("p99_ms"),
        "converged_s": measures.get("converged_s"),
        "minutes": round(seconds / 60, 1) if isinstance(seconds, int | float) else None,
    }


def bugs(zoo: CampaignResults) -> JsonObject:
    """The zoo's table: {start, mode, rows}, a row for each bug: by what it was caught, how often,
    after how many s."""
    rows = zoo.get("bugs")
    names = ("name", "mechanism", "caught", "catches", "tried", "median")
    return {
        "start": str(zoo.get("start", "")),
        "mode": str(zoo.get("mode", "")),
        "rows": [
            {name: bug.get(name) for name in names}
            | {"by": list(bug.get("anomalies") or ()), "often": _often(bug)}
            | {"median": bug.get("median", bug.get("seconds"))}
            for bug in (rows if isinstance(rows, list) else ())
            if isinstance(bug, dict)
        ],
    }


def _often(bug: JsonObject) -> str:
    """How often a bug was caught; of a simulated one, in which schedule."""
    if "schedules" not in bug:
        return f"{bug.get('catches', '?')} of {bug.get('tried', '?')}"
    played = bug["schedules"]
    return f"schedule {played}" if bug.get("caught") else counted(played, "schedule")


def markdown(site: CampaignResults) -> list[str]:
    """The lines that the summary has of this, below what is new, still failing and fixed."""
    lines = ["", "## Flaky", ""]
    lines += [_flaky_line(each) for each in site["flaky"]] or ["none"]
    lines += ["", "## Matrix", "", "| configuration | workload | nemesis | failed | worst |",
              "|---|---|---|---|---|"]  # fmt: skip
    for row in sorted(site["matrix"], key=lambda row: -row["failed"]):
        failed = f"{row['failed']} of {row['seeds']}"
        lines.append(_row(row["config"], row["workload"], row["nemesis"], failed, row["worst"]))
    lines += ["", "## Nights", "", "| begun | verdict | invalid | unknown | p99 ms | converged s |",
              "|---|---|---|---|---|---|"]  # fmt: skip
    for each in reversed(site["nights"]):
        counts = [each["counts"].get(name, "") for name in ("invalid", "unknown")]
        lines.append(_row(each["start"], each["verdict"], *counts, each["p99_ms"],
                          each["converged_s"]))  # fmt: skip
    return lines + (_zoo_lines(site["zoo"]) if site["zoo"] else [])


def _zoo_lines(zoo: CampaignResults) -> list[str]:
    head = inert(f"The zoo, {zoo['mode']}, {zoo['start']}")
    lines = ["", f"## {head}", "", "| bug | caught | by |",
             "|---|---|---|"]  # fmt: skip
    for bug in zoo["rows"]:
        caught = f"{'yes' if bug['caught'] else 'no'}, {bug['often']}"
        lines.append(_row(bug["name"], caught, ", ".join(map(str, bug["by"])) or "nothing"))
    return lines


def _row(*cells: object) -> str:
    shown = ("" if cell is None else inert(str(cell)).replace("|", "\\|") for cell in cells)
    return f"| {' | '.join(shown)} |"


def _flaky_line(each: CampaignResults) -> str:
    of = f"{each['failed']} of {counted(each['tried'], 'run')}"
    between = interval_text(each["failed"], each["tried"])
    return f"- {code(each['cell'])}: {each['rate']:.0%} ({of}), {between}"


def _failure(cell: CampaignResults) -> JsonObject:
    names = ("cell", "verdict", "anomalies", "failed", "tried", "rate", "why", "command", "folder")
    return {name: cell.get(name) for name in names}


def _rate(name: str, verdicts: Sequence[str], nights: int) -> JsonObject:
    failed = verdicts.count("invalid")
    tried = failed + verdicts.count("valid")
    rate = round(failed / tried, 4) if tried else 0.0
    low, high = (round(each, 4) for each in interval(failed, tried))
    found = {"cell": name, "failed": failed, "tried": tried, "rate": rate}
    return found | {"low": low, "high": high, "nights": nights}


def _cells(results: CampaignResults) -> list[Any]:
    cells = results.get("cells")
    return (
        [c for c in cells if isinstance(c, dict) and "cell" in c] if isinstance(cells, list) else []
    )


def _rank(verdict: str) -> int:
    return _ORDER.index(verdict) if verdict in _ORDER else len(_ORDER)
