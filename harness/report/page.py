"""report.html: one self-contained page about one test."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jinja2

from harness.report.summary import described, reasons, word
from harness.store import HISTORY, RESULTS, TEST, Folder

#: Anomalies of one name that are shown unfolded.
_SHOWN = 3

Proven = tuple[dict[str, Any], list[str]]


def page(folder: Folder) -> str:
    """The page, from test.json, results.json and history.jsonl in `folder`."""
    test, results = folder.load_json(TEST), folder.load_json(RESULTS)
    found = described(results)
    wanted = {index for anomaly in found for index in anomaly["ops"]}
    proof, story = _read(folder / HISTORY, wanted)
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("page.html.j2").render(
        test=test,
        results=results,
        verdict=word(results["valid"]),
        word=word,
        reasons=list(dict.fromkeys(reasons(results))),
        groups=_by_name(found, proof),
        shown=_SHOWN,
        story=story,
    )


def _by_name(found: list[dict[str, Any]], proof: Mapping[int, str]) -> dict[str, list[Proven]]:
    """Anomalies by name, each with the lines of the history that prove it."""
    groups: dict[str, list[Proven]] = {}
    for anomaly in found:
        cited = [proof[index] for index in anomaly["ops"] if index in proof]
        groups.setdefault(anomaly["name"], []).append((anomaly, cited))
    return groups


def _read(path: Path, wanted: set[int]) -> tuple[dict[int, str], list[dict[str, Any]]]:
    """The lines that prove something, and what harness and nemesis did."""
    proof: dict[int, str] = {}
    story: list[dict[str, Any]] = []
    with path.open("rb") as lines:
        for index, line in enumerate(lines):
            if index in wanted:
                proof[index] = line.decode(errors="replace").strip()
            if b'"nemesis"' in line or b'"harness"' in line:
                event = json.loads(line)
                if event["process"] in ("nemesis", "harness") and event["type"] == "info":
                    story.append(event)
    return proof, story
