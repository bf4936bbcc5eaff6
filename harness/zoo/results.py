"""What the zoo has found, as plain data: zoo.json, from which all else is drawn.

A bug is caught when every one of its tests shows it in time. Under what suits it, it must be
by an anomaly that is expected of it, or a symptom of something else would count; a storm
expects nothing in particular, and has caught a bug with the first test that is invalid.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from statistics import median
from typing import Any

from dynamesis.harness.campaign.journal import CellRun
from dynamesis.harness.campaign.matrix import Cell
from dynamesis.harness.campaign.spec import Campaign
from dynamesis.harness.results.documents import JsonObject
from dynamesis.harness.zoo.plan import STORM, SUITED, Specimen, is_clean, planted_in

RESULTS = "zoo.json"


def collect(
    specimens: Iterable[Specimen],
    campaign: Campaign,
    runs: Iterable[CellRun],
    stormy: bool,
    **about: Any,
) -> JsonObject:
    """The content of zoo.json; `about` is added as it is."""
    by_cell = {run.cell: run for run in runs}
    bugs = []
    for specimen in specimens:
        cells = [cell for cell in campaign.cells if planted_in(cell) == specimen.name]
        tried = [_test(cell, by_cell[cell.name]) for cell in cells if cell.name in by_cell]
        found = _storm(tried) if stormy else _suited(specimen, tried, len(cells))
        bugs.append(_bug(specimen, tried, found, stormy))
    clean = [
        _test(cell, by_cell[cell.name])
        for cell in campaign.cells
        if is_clean(cell) and cell.name in by_cell
    ]
    alarms = [test for test in clean if test["verdict"] == "invalid"]
    failed = [test for test in clean if test["verdict"] == "error"]
    return {
        "mode": "storm" if stormy else "suited",
        "time_limit": campaign.time_limit,
        **about,
        "all_caught": bool(bugs) and all(bug["caught"] for bug in bugs),
        "false_alarms": len(alarms),
        "clean_failed": len(failed),
        "bugs": bugs,
        "clean": clean,
    }


def finish(tests: JsonObject, campaign: Campaign, results: Mapping[str, Any]) -> None:
    """Add to the campaign's results the outcome of the zoo, and which tests have a planted
    bug."""
    tests["zoo"] = _outcome(results)
    for cell, planned in zip(tests["cells"], campaign.cells, strict=False):
        cell["planted"] = not is_clean(planned)


def _outcome(results: Mapping[str, Any]) -> JsonObject:
    """What a list of campaigns shows of a zoo, where an invalid test may be a success: how many
    bugs there were and how many were caught, the clean pairs that were invalid, and whether that
    is a success, as the exit code has it."""
    right = results["all_caught"] and not results["false_alarms"] and not results["clean_failed"]
    return {
        "bugs": len(results["bugs"]),
        "caught": sum(bug["caught"] for bug in results["bugs"]),
        "false_alarms": results["false_alarms"],
        "success": right and not results["interrupted"],
    }


def _test(cell: Cell, run: CellRun) -> JsonObject:
    return {
        "workload": cell.workload,
        "nemesis": cell.nemesis,
        "seed": cell.seed,
        "verdict": run.verdict,
        "seconds": run.seconds,
        "anomalies": dict(run.anomalies),
        "why": list(run.why),
        "folder": run.folder,
        "output": run.output,
        "command": run.command,
    }


def _suited(specimen: Specimen, tried: Sequence[Mapping[str, Any]], wanted: int) -> JsonObject:
    """`times`: s to each catch."""
    times = [
        test["seconds"]
        for test in tried
        if set(specimen.anomalies) & set(test["anomalies"]) and test["seconds"] <= SUITED
    ]
    return {"caught": len(times) == wanted > 0, "catches": len(times), "times": times}


def _storm(tried: Sequence[Mapping[str, Any]]) -> JsonObject:
    """The one time is that of all tests together."""
    spent = round(sum(test["seconds"] for test in tried), 1)
    caught = bool(tried) and tried[-1]["verdict"] == "invalid" and spent <= STORM
    return {"caught": caught, "catches": int(caught), "times": [spent] if caught else []}


def _bug(
    specimen: Specimen,
    tried: Sequence[Mapping[str, Any]],
    found: Mapping[str, Any],
    stormy: bool,
) -> JsonObject:
    """`anomalies`: in how many tests each was found."""
    times = found["times"]
    shown = Counter(name for test in tried for name in test["anomalies"])
    expected = specimen.anomalies
    return {
        "name": specimen.name,
        "mechanism": specimen.mechanism,
        "workload": "the mix" if stormy else specimen.workload,
        "nemesis": "storm" if stormy else specimen.nemesis,
        "options": [] if stormy else list(specimen.options),
        "expected": list(expected),
        "caught": found["caught"],
        "catches": found["catches"],
        "tried": len(tried),
        "median": round(median(times), 1) if times else None,
        "worst": max(times, default=None),
        "anomalies": {name: shown[name] for name in sorted(shown, key=lambda n: n not in expected)},
        "tests": list(tried),
    }
