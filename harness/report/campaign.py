"""A campaign as a page, as JUnit XML, and as a summary in Markdown."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import jinja2
from dynamesis.harness.report.budgets import (
    interval_text,
    omitted,
    rate_text,
    shard_text,
    unfinished,
)
from dynamesis.harness.report.budgets import lines as budget_lines
from dynamesis.harness.report.junit import document
from dynamesis.harness.report.nightly import markdown, nightly
from dynamesis.harness.report.pictures.svg import DARK, LIGHT, RULES, colours
from dynamesis.harness.report.pictures.trend import trend_chart
from dynamesis.harness.report.spoken import lead
from dynamesis.harness.report.words import clip, code, counted, inert, moment, shown
from dynamesis.harness.results.documents import JsonObject
from dynamesis.harness.text.printable import printable
from markupsafe import Markup

CampaignResults = Mapping[str, Any]
News = Mapping[str, list[Any]]


def index(
    results: CampaignResults,
    news: News,
    compared: str | None = None,
    site: CampaignResults | None = None,
) -> str:
    """The index page, self-contained but for its links to the tests' own pages. `compared`:
    when the campaign began that the news are news to; None if there is none. In a zoo a test
    with a bug in it is good when it is invalid. `site`: what nightly() made of it."""
    site = site or nightly(results, news)
    trend = trend_chart(site["nights"])
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        finalize=shown,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"breakable": _breakable, "clip": clip, "lead": lead, "moment": moment}
    cells = results["cells"]
    bad = [cell for cell in cells if cell["verdict"] in ("invalid", "error")]
    return environment.get_template("campaign.html.j2").render(
        results=results,
        news=news,
        tables=_tables(cells),
        compared=compared,
        tone=_tone,
        bad=[cell for cell in bad if _tone(cell) != "valid"],
        caught=[cell for cell in bad if _tone(cell) == "valid"],
        unknown=[cell for cell in cells if cell["verdict"] == "unknown"],
        skipped=_skipped(results),
        omitted=omitted(results),
        unfinished=[shard_text(row) for row in unfinished(results)],
        rate_text=rate_text,
        counted=counted,
        failed_of=failed_of,
        interval_text=interval_text,
        new={cell["cell"] for cell in news["new"]},
        site=site,
        heat={(row["config"], row["workload"], row["nemesis"]): row for row in site["matrix"]},
        trend=trend.inline() if trend else "",
        light=colours(LIGHT),
        dark=colours(DARK),
        rules=RULES,
    )


def _breakable(text: str) -> Markup:
    """A list by commas, with a place to break the line after each."""
    return Markup(",<wbr>").join(printable(part) for part in text.split(","))


def _tone(cell: Mapping[str, Any]) -> str:
    """The verdict by which a test is coloured: what was planted is to be found."""
    verdict = str(cell["verdict"])
    if cell.get("planted"):
        verdict = {"invalid": "valid", "valid": "invalid"}.get(verdict, verdict)
    return verdict.replace(" ", "-")


def _tables(cells: list[Any]) -> dict[str, JsonObject]:
    """By configuration: the nemeses, and by workload and nemesis the cells of all seeds."""
    tables: dict[str, JsonObject] = {}
    for cell in cells:
        table = tables.setdefault(cell["config"], {"nemeses": {}, "rows": {}})
        table["nemeses"][cell["nemesis"]] = None
        row = table["rows"].setdefault(cell["workload"], {})
        row.setdefault(cell["nemesis"], []).append(cell)
    return tables


def junit(results: CampaignResults) -> str:
    """A test case a cell: invalid is a failure, unknown and whatever ended otherwise are
    errors, and so is what should have been run and was not; what cannot be run is skipped. A shard
    that is missing, died, or was interrupted is an error too."""
    counts = results["counts"]
    left, lacking = {cell["cell"] for cell in omitted(results)}, unfinished(results)
    suite = ET.Element(
        "testsuite",
        name=str(results["name"]),
        tests=str(len(results["cells"]) + len(lacking)),
        failures=str(counts["invalid"]),
        errors=str(counts["error"] + counts["unknown"] + len(left) + len(lacking)),
        skipped=str(counts["not run"] - len(left)),
        time=str(results["seconds"]),
        timestamp=str(results["start"]),
    )
    for cell in results["cells"]:
        _case(suite, results["name"], cell, cell["cell"] in left)
    for row in lacking:
        case = ET.SubElement(
            suite, "testcase", name=f"shard {row['shard']}", classname=results["name"]
        )
        ET.SubElement(case, "error", message=shard_text(row)).text = "\n".join(row["not_run"])
    return document(suite)


def _case(suite: ET.Element, name: str, cell: Mapping[str, Any], left_out: bool) -> None:
    case = ET.SubElement(
        suite,
        "testcase",
        name=cell["cell"],
        classname=name,
        time=str(sum(run["seconds"] for run in cell["runs"])),
    )
    outcome = {
        "invalid": "failure",
        "error": "error",
        "unknown": "error",
        "not run": "error" if left_out else "skipped",
    }
    if cell["verdict"] in outcome:
        message = clip(f"{cell['verdict']}: {describe(cell)}".rstrip(": "))
        element = ET.SubElement(case, outcome[cell["verdict"]], message=message)
        element.text = "\n".join([*map(clip, cell["why"]), cell["command"]]).strip()


def describe(cell: Mapping[str, Any]) -> str:
    """Its anomalies and how often it failed, or the first line of its output."""
    found = ", ".join(f"{name} ({count})" for name, count in cell["anomalies"].items())
    if cell["verdict"] == "invalid":
        rate = rate_text(cell.get("rate"))
        again = f"; {rate}" if rate else ""
        return f"{found}; {failed_of(cell)}{again}"
    return cell["why"][0] if cell["why"] else ""


def failed_of(cell: Mapping[str, Any]) -> str:
    """`failed 2 of 3 runs`"""
    return f"failed {cell['failed']} of {counted(cell['tried'], 'run')}"


def summary(
    results: CampaignResults, news: News, compared: str | None, site: CampaignResults | None = None
) -> str:
    """A summary in Markdown. `compared`: when the last one began; `site`: what nightly() made of
    it, for what comes last."""
    counts = ", ".join(
        f"{count} {verdict}" for verdict, count in results["counts"].items() if count
    )
    since = f"the one of {inert(compared)}" if compared else "nothing: there was none before"
    stopped = ", interrupted" if results["interrupted"] else ""
    lines = [
        f"# Campaign {inert(str(results['name']))}: {results['verdict']}{stopped}",
        "",
        f"{counted(len(results['cells']), 'test')} in {results['seconds'] / 60:.1f} min, "
        f"begun {inert(str(results['start']))}: {counts}.",
        f"Compared with {since}.",
        *(f"**{inert(shard_text(row))}**" for row in unfinished(results)),
    ]
    for title, key in (("New failures", "new"), ("Still failing", "still"), ("Fixed", "fixed")):
        lines += ["", f"## {title}", ""]
        lines += [_line(cell) for cell in news[key]] or ["none"]
    if skipped := _skipped(results):
        lines += ["", "## Skipped", "", *map(_line, skipped)]
    lines += budget_lines(results)
    lines += markdown(site) if site is not None else []
    return "\n".join(lines) + "\n"


def _skipped(results: CampaignResults) -> list[Any]:
    """The cells that cannot be."""
    left = results.get("omitted") or {}
    idle = [cell for cell in results["cells"] if cell["verdict"] == "not run" and cell["why"]]
    return [cell for cell in idle if cell["cell"] not in left]


def _line(cell: Mapping[str, Any]) -> str:
    if cell["verdict"] == "valid":
        return f"- {code(cell['cell'])}"
    again = f"\n  {code(cell['command'])}" if cell["command"] else ""
    return f"- {code(cell['cell'])}: {cell['verdict']}: {inert(describe(cell))}{again}"
