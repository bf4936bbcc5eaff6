"""report.html: one self-contained page about one test."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jinja2
from dynamesis.harness.report.summary import described, evidence, reasons, word
from dynamesis.harness.results.documents import JsonObject
from dynamesis.harness.results.results import HISTORY, RESULTS, TEST, Folder

#: Anomalies of one name that are shown unfolded.
_SHOWN = 3

#: Characters of a summary, and of JSON that needs none.
_BRIEF = 100

#: A line of the history without its quorum information (`worth`), and that, as JSON.
Cited = tuple[str, str]
Proven = tuple[JsonObject, list[Cited]]


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
    environment.filters["brief"] = brief
    return environment.get_template("page.html.j2").render(
        test=test,
        results=results,
        verdict=word(results["valid"]),
        word=word,
        reasons=list(dict.fromkeys(reasons(results))),
        groups=_by_name(found, proof),
        shown=_SHOWN,
        evidence=evidence(results["evidence"]) if results.get("evidence") else "",
        story=story,
    )


def brief(value: Any) -> str | None:
    """A value in some words; None if it is short enough to be shown as JSON."""
    if not isinstance(value, dict | list) or len(json.dumps(value)) <= _BRIEF:
        return None
    if isinstance(value, list):
        return f"{len(value)} entries"
    words = ", ".join(f"{name} {_word(each)}" for name, each in value.items())
    return words if len(words) <= _BRIEF else words[: _BRIEF - 1] + "\u2026"


def _word(value: Any) -> str:
    if isinstance(value, dict | list) and len(json.dumps(value)) > _BRIEF // 3:
        return f"({len(value)})"
    return value if isinstance(value, str) else json.dumps(value)


def _cited(line: str) -> Cited:
    try:
        event = json.loads(line)
        quorum = event.pop("worth", None)
    except (ValueError, AttributeError):
        return line, ""
    if quorum is None:
        return line, ""
    return json.dumps(event, separators=(",", ":"), ensure_ascii=False), json.dumps(quorum)


def _by_name(found: list[JsonObject], proof: Mapping[int, str]) -> dict[str, list[Proven]]:
    """Anomalies by name, each with the lines of the history that prove it."""
    groups: dict[str, list[Proven]] = {}
    for anomaly in found:
        cited = [_cited(proof[index]) for index in anomaly["ops"] if index in proof]
        groups.setdefault(anomaly["name"], []).append((anomaly, cited))
    return groups


def _read(path: Path, wanted: set[int]) -> tuple[dict[int, str], list[JsonObject]]:
    """The lines that prove something, and what harness and nemesis did."""
    proof: dict[int, str] = {}
    story: list[JsonObject] = []
    with path.open("rb") as lines:
        for index, line in enumerate(lines):
            if index in wanted:
                proof[index] = line.decode(errors="replace").strip()
            if b'"nemesis"' in line or b'"harness"' in line:
                event = json.loads(line)
                if event["process"] in ("nemesis", "harness") and event["type"] == "info":
                    story.append(event)
    return proof, story
