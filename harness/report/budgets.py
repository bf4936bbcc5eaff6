"""What a campaign shows beside its verdicts: shards, what was left out, rates."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dynamesis.harness.report.words import counted, share
from dynamesis.harness.results.documents import JsonObject
from dynamesis.harness.results.interval import interval

CampaignResults = Mapping[str, Any]


def unfinished(results: CampaignResults) -> list[JsonObject]:
    """The shards of a merged campaign that are missing, died, or were interrupted."""
    return [row for row in results.get("shards") or () if row["state"] != "complete"]


def shard_text(row: CampaignResults) -> str:
    """`shard 2/3 died: 4 of 9 tests were not run`"""
    verb = {"missing": "is missing", "died": "died", "interrupted": "was interrupted"}
    how = verb.get(row["state"], "is complete")
    left = share(len(row["not_run"]), row["tests"], "test", "not run")
    return f"shard {row['shard']} {how}: {left}"


def omitted(results: CampaignResults) -> list[Any]:
    """The cells that should have been run and were not."""
    names = results.get("omitted") or {}
    return [cell for cell in results["cells"] if cell["cell"] in names]


def rate_text(rate: CampaignResults | None) -> str:
    """`33% of 9 reruns, 95% interval 12% to 65%`, and whether that is as narrow as was wanted."""
    if not rate or not rate["tried"]:
        return ""
    between = _between(rate["low"], rate["high"])
    text = f"{rate['rate']:.0%} of {counted(rate['tried'], 'rerun')}, {between}"
    if rate["wanted"] is not None and not rate["known"]:
        text += f", not yet within {rate['wanted']:.0%}: the budget ended"
    return text


def interval_text(failed: int, tried: int) -> str:
    """`95% interval 12% to 65%`"""
    return _between(*interval(failed, tried))


def _between(low: float, high: float) -> str:
    return f"95% interval {low:.0%} to {high:.0%}"


def lines(results: CampaignResults) -> list[str]:
    """The lines that the summary in Markdown has of this."""
    found: list[str] = []
    if results.get("ended_by"):
        found += ["", f"It ended early: {results['ended_by']}."]
    if left := omitted(results):
        found += ["", "## Not run", ""]
        found += [f"- `{cell['cell']}`: {cell['why'][0]}" for cell in left]
    if shards := results.get("shards"):
        titles = ("shard", "state", "verdict", "tests", "not run", "host", "begun")
        found += ["", "## Shards", "", f"| {' | '.join(titles)} |", "|---" * len(titles) + "|"]
        found += [_row(row) for row in shards]
    return found


def _row(row: CampaignResults) -> str:
    cells = (row["shard"], row["state"], row["verdict"], row["tests"], len(row["not_run"]),
             row["host"], row["start"])  # fmt: skip
    return f"| {' | '.join('' if each is None else str(each) for each in cells)} |"
