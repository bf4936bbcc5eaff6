"""The pages: each from a path and a query, made anew for each request."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import jinja2
from dynamesis.harness.report.nightly import NIGHTS, bugs, flaky, night
from dynamesis.harness.report.nodelog import Wanted as WantedEvents
from dynamesis.harness.report.pictures.svg import DARK, LIGHT, RULES, colours, short
from dynamesis.harness.report.pictures.trend import trend_chart
from dynamesis.harness.report.spoken import lead, spoken
from dynamesis.harness.report.words import clip, counted, moment
from dynamesis.harness.results.documents import JsonObject
from dynamesis.harness.results.results import REPORT, RESULTS, TEST
from dynamesis.harness.serve.beside import beside
from dynamesis.harness.serve.files import folders, inside, load, rows, table
from dynamesis.harness.serve.lines import PAGE, history_lines, log_lines
from dynamesis.harness.serve.tests import TestFilter, TestRow, Tests, choices, row_of

Query = Mapping[str, str]
CAMPAIGN, ZOO = "campaign.json", "zoo.json"
#: tests of a page of the list; anomalies that the page of a test lists
SHOWN, ANOMALIES = 200, 100


class Pages:
    """The pages of one store. A method returns None for what is not there."""

    def __init__(self, store: Path) -> None:
        self._store = store
        self._root = store.resolve()
        self._tests = Tests(self._root)
        self._environment = jinja2.Environment(
            loader=jinja2.FileSystemLoader(Path(__file__).parent),
            autoescape=True,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.globals["counted"] = counted
        self._environment.filters |= {"at": _quoted, "short": short, "clip": clip, "moment": moment}

    def style(self) -> str:
        """The style sheet of all pages."""
        own = (Path(__file__).parent / "serve.css").read_text(encoding="utf-8")
        dark = f"@media (prefers-color-scheme: dark) {{ :root {{ {colours(DARK)} }} }}"
        return f":root {{ {colours(LIGHT)} }}\n{dark}\n{RULES}{own}"

    def front(self, query: Query) -> str:
        """All tests and campaigns, newest first; above them the newest failure."""
        every = self._tests.all()
        wanted = TestFilter.of(query)
        found = [row for row in every if wanted(row)]
        first = _number(query.get("from"))
        return self._page(
            "front.html.j2",
            store=self._store,
            failure=next((row for row in every if row.verdict == "invalid"), None),
            tests=found[first : first + SHOWN],
            found=len(found),
            first=first,
            step=SHOWN,
            total=len(every),
            wanted=wanted,
            choices=choices(every),
            query={key: value for key, value in query.items() if key != "from"},
            campaigns=self._campaigns(),
        )

    def test(self, path: str) -> str | None:
        """One test: verdict, anomalies with the lines of their operations, and its files."""
        folder = self._folder(path)
        if folder is None:
            return None
        path = str(folder.relative_to(self._root))
        test, results = load(self._root, folder / TEST), load(self._root, folder / RESULTS)
        found, row = _anomalies(results), row_of(self._root, folder)
        return self._page(
            "test.html.j2",
            path=path,
            row=row,
            facts=_row_facts(row),
            spoken=_spoken(results),
            command=test.get("command", ""),
            groups=_by_name(found[:ANOMALIES]),
            more=max(0, len(found) - ANOMALIES),
            report=(folder / REPORT).is_file(),
            files=sorted(each.name for each in folder.iterdir()),
        )

    def history(self, path: str, query: Query) -> str | None:
        """Lines of the history."""
        folder = self._folder(path)
        if folder is None:
            return None
        path = str(folder.relative_to(self._root))
        first = _number(query.get("from"))
        lines, more = history_lines(self._root, folder, first, query.get("id", ""))
        return self._page("history.html.j2", path=path, lines=lines, more=more, step=PAGE)

    def nodes(self, path: str, query: Query) -> str | None:
        """What the nodes of a test logged, by time."""
        folder = self._folder(path)
        if folder is None:
            return None
        path = str(folder.relative_to(self._root))
        asked = {key: query[key] for key in ("node", "key", "request", "event") if query.get(key)}
        events = frozenset(asked["event"].split(",")) if "event" in asked else None
        wanted = WantedEvents(events, asked.get("key"), asked.get("request"))
        first = _number(query.get("from"))
        lines, more, names = log_lines(self._root, folder, first, wanted, asked.get("node", ""))
        return self._page(
            "nodes.html.j2", path=path, lines=lines, more=more, nodes=names, query=asked,
            first=first, step=PAGE,
        )  # fmt: skip

    def compare(self, chosen: list[str]) -> str:
        """Two tests side by side."""
        found = [(path, self._folder(path)) for path in chosen]
        there = [(path, folder) for path, folder in found if folder is not None]
        if len(there) != 2:
            return self._page("compare.html.j2", pair=None, lines=[])
        (left, one), (right, other) = there
        lines = beside(self._root, one, other)
        return self._page("compare.html.j2", pair=(left, right), lines=lines)

    def campaign(self, name: str) -> str | None:
        """The nights of the campaigns of this name."""
        found = [each for each in self._campaigns() if each["name"] == name]
        if not found:
            return None
        whole = [load(self._root, self._root / c["path"] / CAMPAIGN) for c in found[:NIGHTS]]
        nights = [night(each) for each in reversed(whole)]
        trend = trend_chart(nights)
        listed = [
            {**each, "path": c["path"]} for each, c in zip(reversed(nights), found, strict=False)
        ]
        return self._page(
            "campaign.html.j2", name=name, nights=listed, flaky=flaky(whole),
            trend=trend.inline() if trend else "",
        )  # fmt: skip

    def zoo(self) -> str:
        """The tables of the zoo that ran last, of each kind; what was caught is green."""
        newest: dict[str, JsonObject] = {}
        for folder in folders(self._root, f"campaigns/*/*/{ZOO}"):
            found = bugs(load(self._root, folder / ZOO))
            kept = newest.get(found["mode"])
            if kept is None or kept["start"] <= found["start"]:
                newest[found["mode"]] = {**found, "path": str(folder.relative_to(self._root))}
        return self._page("zoo.html.j2", zoos=list(newest.values()))

    def files(self, path: str) -> str | None:
        """What is in a folder."""
        at = inside(self._root, path)
        if at is None or not at.is_dir():
            return None
        listed = sorted(f"{each.name}/" if each.is_dir() else each.name for each in at.iterdir())
        return self._page("files.html.j2", path=path.strip("/"), listed=listed)

    def bar(self, path: str) -> str:
        """What a report has above it, for the way back."""
        return self._environment.get_template("bar.html.j2").render(path=path)

    def _folder(self, path: str) -> Path | None:
        """The folder of a test."""
        at = inside(self._root, path)
        return at if at is not None and at != self._root and (at / TEST).is_file() else None

    def _campaigns(self) -> list[JsonObject]:
        found = [
            campaign_row(self._root, folder)
            for folder in folders(self._root, f"campaigns/*/*/{CAMPAIGN}")
        ]
        return sorted(found, key=lambda each: each["start"], reverse=True)

    def _page(self, template: str, **values: Any) -> str:
        return self._environment.get_template(template).render(**values)


def campaign_row(root: Path, folder: Path) -> JsonObject:
    """What the list shows of a campaign: the verdict by which it is coloured is, of a zoo, in which
    a test with a bug should be invalid, whether all was caught."""
    found = load(root, folder / CAMPAIGN)
    verdict = short(found.get("verdict", "damaged"), 20)
    shown = {"word": verdict, "tint": verdict}
    if zoo := table(found.get("zoo")):
        alarms = (
            f", {counted(zoo['false_alarms'], 'false alarm')}" if zoo.get("false_alarms") else ""
        )
        word = f"{zoo.get('caught')} of {zoo.get('bugs')} caught{alarms}"
        shown = {"word": short(word, 80), "tint": "valid" if zoo.get("success") else "invalid"}
    return {
        "name": folder.parent.name,
        "path": str(folder.relative_to(root)),
        "start": short(found.get("start", ""), 40),
        "counts": {short(k, 20): v for k, v in table(found.get("counts")).items() if v},
        **shown,
    }


def _anomalies(results: JsonObject) -> list[JsonObject]:
    """The anomalies as they are numbered in the report; the lines of the first operations."""
    found = (
        each
        for checker in table(results.get("checkers")).values()
        for each in rows(table(checker).get("anomalies"))
    )
    return [
        {
            "number": number,
            "name": each.get("name", ""),
            "key": each.get("key"),
            "why": lead(str(each.get("why", ""))),
            "ops": [op for op in _list(each.get("ops")) if isinstance(op, int) and op >= 0][:40],
        }
        for number, each in enumerate(found)
    ]


def _by_name(found: list[JsonObject]) -> dict[str, list[JsonObject]]:
    groups: dict[str, list[JsonObject]] = {}
    for each in found:
        groups.setdefault(str(each["name"]), []).append(each)
    return groups


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _spoken(results: JsonObject) -> list[str]:
    if results.get("valid") is not False:
        return []
    try:
        first, *rest = spoken(results)
        return [first[:1].upper() + first[1:], *rest]
    except (KeyError, TypeError, AttributeError, ValueError):
        return []  # results of some other form


def _row_facts(row: TestRow) -> list[str]:
    """When a test began, how long it took, what its verdict rests on, and its seed; of what is not
    known, nothing."""
    took = "" if row.seconds is None else f"{row.seconds:.1f} s"
    seed = f"seed {row.seed}" if row.seed not in (None, "") else ""
    return [str(each) for each in (moment(row.start), took, row.evidence, seed) if each]


def _quoted(path: str) -> str:
    """A path in a link, also of a name that is not UTF-8."""
    return quote(path, errors="surrogateescape")


def _number(text: str | None) -> int:
    """A line to begin with; 0 for what is not one."""
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 12 else 0
