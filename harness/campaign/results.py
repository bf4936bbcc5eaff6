"""What a campaign has found, as plain data: campaign.json, from which all else is drawn."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import median
from typing import Any

from dynamesis.harness.campaign.journal import MEASURES, VERDICTS, CellRun
from dynamesis.harness.campaign.matrix import Cell
from dynamesis.harness.campaign.rates import rate
from dynamesis.harness.campaign.spec import Campaign
from dynamesis.harness.results.documents import JsonObject
from dynamesis.harness.results.results import Folder

RESULTS, ZOO = "campaign.json", "zoo.json"
NOT_RUN = "not run"


def collect(
    campaign: Campaign,
    runs: Iterable[CellRun],
    started: str,
    seconds: float,
    interrupted: bool = False,
    omitted: Mapping[str, str] | None = None,
) -> JsonObject:
    """The content of campaign.json. The verdict of a cell is the worst of its runs, so no
    unknown hides a failure; the campaign's is the worst of its cells, and at best unknown
    when it was interrupted, or cells were `omitted`: by their names, why they were not run."""
    left_out = omitted or {}
    by_cell: dict[str, list[CellRun]] = {}
    for run in runs:
        by_cell.setdefault(run.cell, []).append(run)
    cells = [
        _cell(cell, by_cell.get(cell.name, []), left_out.get(cell.name, ""), campaign.budget.width)
        for cell in campaign.cells
    ]
    cells += [_cell(cell, [], reason) for cell, reason in campaign.skipped.items()]
    counts = Counter(cell["verdict"] for cell in cells)
    nothing = not any(counts[each] for each in VERDICTS)
    unsure = {"unknown"} if interrupted or left_out or nothing else set()
    verdict = next(each for each in VERDICTS if counts[each] or each in unsure)
    return {
        "name": campaign.name,
        "start": started,
        "seconds": round(seconds, 1),
        "verdict": verdict,
        "interrupted": interrupted,
        "budget": campaign.budget.to_dict(),
        "omitted": dict(left_out),
        "counts": {each: counts[each] for each in (*VERDICTS, NOT_RUN)},
        "measures": _medians([run for all_ in by_cell.values() for run in all_]),
        "cells": cells,
    }


def _medians(runs: Sequence[CellRun]) -> dict[str, float]:
    """Of each measure, the median of the runs that have it."""
    found = {name: [r.measures[name] for r in runs if name in r.measures] for name in MEASURES}
    return {name: round(median(values), 3) for name, values in found.items() if values}


def _cell(
    cell: Cell, runs: Sequence[CellRun], not_run: str = "", width: float | None = None
) -> JsonObject:
    """`failed` of `tried` runs with the same seed and faults were invalid, the first one too;
    `not_run`: why it cannot be, or was left out; `width`: to which its rate should be known."""
    verdicts = [run.verdict for run in runs]
    worst = next((each for each in VERDICTS if each in verdicts), NOT_RUN)
    shown = next((run for run in runs if run.verdict == worst), None)
    return {
        "cell": cell.name,
        **asdict(cell),
        "verdict": worst,
        "failed": verdicts.count("invalid"),
        "tried": len(runs),
        "rate": rate(runs, width),
        "anomalies": dict(shown.anomalies) if shown else {},
        "why": list(shown.why) if shown else [not_run] if not_run else [],
        "command": shown.command if shown else "",
        "folder": shown.folder if shown else None,
        "runs": [asdict(run) for run in runs],
    }


def previous(folder: Path) -> JsonObject | None:
    """The results of the campaign of this name before the one in `folder`, if any."""
    return next(reversed(earlier(folder)), None)


def earlier(folder: Path, now: Mapping[str, Any] | None = None) -> list[JsonObject]:
    """The results of all campaigns of this name before the one in `folder`, oldest first; what is
    damaged is passed over, and so is a shard: it is a part of a campaign. Of those that were merged
    from the same shards, some of them or all, the last counts, and `now`, the results in `folder`,
    before them: together they are one campaign."""
    files = (path / RESULTS for path in folder.parent.iterdir() if not path.is_symlink())
    before = sorted(file for file in files if file.parent.name < folder.name and file.is_file())
    found = (Folder(file.parent).peek_json(file.name) for file in before)
    listed = [each for each in found if each and not each.get("shard")]
    seen, apart = _begun(now or {}), list[JsonObject]()
    for each in reversed(listed):
        if seen.isdisjoint(begun := _begun(each)):
            apart.insert(0, each)
        seen |= begun
    return apart


def _begun(results: Mapping[str, Any]) -> set[str]:
    """When a campaign began, and each of its shards, by which it is known."""
    shards = results.get("shards")
    rows = [row for row in shards if isinstance(row, Mapping)] if isinstance(shards, list) else []
    return {str(row["start"]) for row in (results, *rows) if row.get("start")}


def newest_zoo(campaigns: Path) -> JsonObject | None:
    """The results of the zoo that began last in a folder of campaigns."""
    files = (f for f in campaigns.glob(f"*/*/{ZOO}") if not f.parent.is_symlink() and f.is_file())
    newest = sorted(files, key=lambda file: file.parent.name, reverse=True)
    return next(filter(None, (Folder(f.parent).peek_json(f.name) for f in newest)), None)


def news(now: Mapping[str, Any], before: Mapping[str, Any] | None) -> dict[str, list[Any]]:
    """The cells that fail now and did not last time (`new`), that still fail, and that are
    `fixed`: a cell that was not run, or is unknown, is not fixed."""
    then = {cell["cell"]: cell["verdict"] for cell in (before or {}).get("cells", ())}
    bad = [cell for cell in now["cells"] if cell["verdict"] in ("invalid", "error")]
    return {
        "new": [cell for cell in bad if then.get(cell["cell"]) != cell["verdict"]],
        "still": [cell for cell in bad if then.get(cell["cell"]) == cell["verdict"]],
        "fixed": [
            cell
            for cell in now["cells"]
            if cell["verdict"] == "valid" and then.get(cell["cell"]) in ("invalid", "error")
        ],
    }
