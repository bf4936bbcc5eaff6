"""report.html: one self-contained page about one test.

Everything is made from the stored files alone. The pictures of anomalies are inline SVG and need no
script; the plots over time are drawn in the browser by Bokeh's scripts, which are taken from the
installed package as they are (its Python side is never imported: that would cost a second).
What comes from a history is data: it reaches the page escaped by the template, or as JSON.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import jinja2
from dynamesis.checkers.graph.run import Run
from dynamesis.checkers.history.history import HistoryError, read_history
from dynamesis.checkers.logs.logs import Logs
from dynamesis.harness.report.lines import Cited, cited_line, held_lines, read_lines
from dynamesis.harness.report.pictures.charts import convergence_chart, staleness_chart
from dynamesis.harness.report.pictures.gallery import DRAWN, Gallery, Picture, files
from dynamesis.harness.report.pictures.instants import clock
from dynamesis.harness.report.pictures.svg import DARK, LIGHT, RULES, colours, short
from dynamesis.harness.report.plots.facts import facts
from dynamesis.harness.report.plots.series_pictures import plot_pictures
from dynamesis.harness.report.situations import by_reach
from dynamesis.harness.report.spoken import lead
from dynamesis.harness.report.stored_logs import stored_logs
from dynamesis.harness.report.story import grounds, missed, operations, sentence
from dynamesis.harness.report.summary import described, evidence, printable, reasons, word
from dynamesis.harness.report.words import brief, clip, counted, facts_of, moment
from dynamesis.harness.results.documents import JsonObject
from dynamesis.harness.results.results import HISTORY, MESSAGES, RESULTS, TEST, Folder
from markupsafe import Markup

#: Anomalies of one name that are shown unfolded, and described at all: of many names each is met
#: soon, and the first of a name is what one reads.
_SHOWN, _DESCRIBED = 1, 30
_OUTCOMES = {
    "ok": "ok", "fail": "failed for certain", "info": "outcome unknown", "open": "never ended",
}  # fmt: skip
_SCRIPTS = ("data.js", "figures.js", "page.js")


@dataclass(frozen=True)
class ShownAnomaly:
    """An anomaly with what shows it. `rows`: the events of clients that the timeline has."""

    number: int
    anomaly: JsonObject
    cited: list[Cited]
    operations: list[JsonObject]
    pictures: list[Picture]
    rows: list[int]


def page(folder: Folder) -> str:
    """The page, from test.json, results.json and history.jsonl in `folder`."""
    test, results = folder.load_json(TEST), folder.load_json(RESULTS)
    run, notice = _run(folder, test)
    return render(folder / HISTORY, run, stored_logs(folder, test), test, results, notice)


def pictures(folder: Folder) -> Iterator[tuple[str, str]]:
    """(file name, SVG) of each picture of a stored test. Raises HistoryError, OSError."""
    test, results = folder.load_json(TEST), folder.load_json(RESULTS)
    run = Run(read_history(folder / HISTORY), test)
    found = described(results)
    logs = stored_logs(folder, test)
    yield from files(Gallery(run, logs, found, folder / MESSAGES), found)
    cited = [row for anomaly in found for row in anomaly["ops"]]
    for name, plot in plot_pictures(run.history, facts(run, logs, results), cited):
        yield f"{name}.svg", plot.standalone()
    for name, drawing in _charts(results).items():
        if drawing is not None:
            yield f"{name.removesuffix('_chart')}.svg", drawing.standalone()


def render(
    history: Path,
    run: Run | None,
    logs: Logs | None,
    test: Mapping[str, Any],
    results: Mapping[str, Any],
    notice: str = "",
) -> str:
    """The page of a history that was read (None: it could not be, and `notice` has why)."""
    found = described(results)
    wanted = {index for anomaly in found for index in anomaly["ops"]}
    if run is not None and history.name != HISTORY:
        proof, story = held_lines(run.history, wanted)
    else:
        proof, story = read_lines(history, wanted)
    drawn = facts(run, logs, results) if run is not None and len(run.history) else None
    staleness = (results["checkers"].get("staleness") or {}).get("details")
    return template().render(
        test={"name": str(history), "start": "", "command": "", **test},
        results=results,
        verdict=word(results["valid"]),
        sentence=sentence(results),
        grounds=grounds(results["evidence"]) if results.get("evidence") else [],
        reasons=list(dict.fromkeys(reasons(results))),
        groups=_by_name(found, proof, run, logs, history.with_name(MESSAGES)),
        shown=_SHOWN,
        evidence=evidence(results["evidence"]) if results.get("evidence") else "",
        staleness=staleness,
        missed=missed,
        situations=by_reach(results),
        drawn=drawn,
        outcomes=_OUTCOMES,
        story=story,
        notice=notice,
        scripts=list(_scripts()) if drawn else [],
        instant=_instants(run, drawn),
        checkers=_checkers(results),
        counted=counted,
        light=colours(LIGHT),
        dark=colours(DARK),
        css=RULES + (Path(__file__).parent / "plots/page.css").read_text(encoding="utf-8"),
        **_charts(results),
    )  # fmt: skip


def _checkers(results: Mapping[str, Any]) -> JsonObject:
    """The names of the checkers by verdict, the gravest first; of those skipped the reasons."""
    judged: dict[str, list[str]] = {"invalid": [], "unknown": [], "valid": []}
    skipped = {}
    for name, checker in results["checkers"].items():
        if checker.get("skipped"):
            skipped[name] = checker["skipped"]
        else:
            judged[word(checker.get("valid"))].append(name)
    return {"judged": {each: names for each, names in judged.items() if names}, "skipped": skipped}


def _instants(run: Run | None, drawn: JsonObject | None) -> Callable[[float], str]:
    """What spells seconds since the test began; indices where the history has no times."""
    if drawn is not None and not drawn["timed"]:
        return lambda s: f"index {s:.0f}"
    spell = clock([0, int(run.history.time.max(initial=0))] if run is not None else [])
    return lambda s: spell(round(s * 1e9))


def _charts(results: Mapping[str, Any]) -> JsonObject:
    staleness = (results["checkers"].get("staleness") or {}).get("details") or {}
    repaired = (results.get("stats") or {}).get("repaired") or {}
    return {
        "staleness_chart": staleness_chart(staleness),
        "convergence": convergence_chart(repaired),
    }


@cache
def template() -> jinja2.Template:
    """The page's template, compiled once a process: that takes longer than to fill it in."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "brief": brief, "facts": facts_of, "lead": lead, "short": short, "clip": clip,
        "clean": printable, "moment": moment, "script": _script,
    }  # fmt: skip
    return environment.get_template("page.html.j2")


def _script(value: Any) -> Markup:
    """JSON that cannot end the script element that it is in; names keep their order."""
    text = json.dumps(value, separators=(",", ":"))
    for mark in "<>&":
        text = text.replace(mark, f"\\u{ord(mark):04x}")
    return Markup(text)


def _scripts() -> Iterator[str]:
    """Bokeh's scripts from its package, then ours as one. Nothing in them can end the element."""
    found = find_spec("bokeh")
    folder = Path(found.origin).parent / "server/static/js" if found and found.origin else Path()
    for name in ("bokeh.min.js", "bokeh-api.min.js"):
        yield (folder / name).read_text(encoding="utf-8").replace("</script", "<\\/script")
    ours = (Path(__file__).parent / "plots" / name for name in _SCRIPTS)
    own = "\n".join(path.read_text(encoding="utf-8") for path in ours)
    yield f'(() => {{\n"use strict";\n{own}}})();'


def _run(folder: Folder, test: Mapping[str, Any]) -> tuple[Run | None, str]:
    """The run of a folder, or why there is none."""
    try:
        return Run(read_history(folder / HISTORY), test), ""
    except (HistoryError, OSError) as unread:
        return None, f"The history cannot be drawn: {unread}."


def _by_name(
    found: Sequence[JsonObject], proof: Mapping[int, str], run: Run | None, logs: Logs | None,
    messages: Path,
) -> dict[str, list[ShownAnomaly]]:  # fmt: skip
    """Anomalies by name, each with what shows it. Pictures are drawn of the first of each name."""
    gallery = Gallery(run, logs, found, messages) if run is not None and found else None
    groups: dict[str, list[ShownAnomaly]] = {}
    for number, anomaly in enumerate(found):
        group = groups.setdefault(anomaly["name"], [])
        if len(group) >= _DESCRIBED:
            continue
        cited = [cited_line(proof[index]) for index in anomaly["ops"] if index in proof]
        drawn = list(gallery.pictures(anomaly)) if gallery and len(group) < DRAWN else []
        ops = operations(run.history, anomaly["ops"]) if run is not None else []
        rows = _client_rows(run, anomaly["ops"])
        group.append(ShownAnomaly(number, anomaly, cited, ops, drawn, rows))
    return groups


def _client_rows(run: Run | None, ops: Sequence[int]) -> list[int]:
    """The cited events that are of an operation, not of the nemesis."""
    if run is None:
        return []
    h = run.history
    return [r for r in ops if 0 <= r < len(h) and (h.process[r] >= 0 or h.pair[r] >= 0)][:200]
