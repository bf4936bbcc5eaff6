"""A verdict on the terminal, as a page, and as JUnit XML."""

from __future__ import annotations

import base64
import io
import json
import re
import subprocess
import sys
import zlib
from itertools import pairwise
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from dynamesis.checkers.history.history import History, Op, encode
from dynamesis.checkers.simulate.simulate import Store
from dynamesis.harness.report.junit import junit
from dynamesis.harness.report.page import page
from dynamesis.harness.report.plots import columns
from dynamesis.harness.report.spoken import first_sentence
from dynamesis.harness.report.story import operations
from dynamesis.harness.report.summary import print_results
from dynamesis.harness.report.words import brief
from dynamesis.harness.results.results import HISTORY, RESULTS, TEST, Folder
from rich.console import Console

LOST = {"name": "lost-write", "key": "k1", "ops": [1, 2], "why": "3.1 <is> gone"}
INVALID: dict[str, Any] = {
    "valid": False,
    "anomalies": {"lost-write": 120},
    "checkers": {
        "final": {"valid": False, "anomalies": [{**LOST, "why": f"{i} is gone"} for i in range(5)]},
        "replicas": {"valid": True, "skipped": "no ring"},
        "stats": {"valid": True},
    },
}
INVALID["checkers"]["final"]["anomalies"][0] = LOST
UNKNOWN: dict[str, Any] = {
    "valid": "unknown",
    "anomalies": {},
    "checkers": {
        "final": {"valid": "unknown", "reasons": ["no final reads"]},
        "stuck": {"valid": "unknown", "reasons": ["no final reads", "no status"]},
    },
}
HISTORY_LINES = """\
{"index":0,"time":1000000,"type":"info","process":"harness","f":"phase","value":"load"}
{"index":1,"time":2000000,"type":"invoke","process":1,"f":"put","key":"k1","id":"3.1","basis":null}
{"index":2,"time":3000000,"type":"ok","process":1,"f":"put","key":"k1","id":"3.1"}
{"index":3,"time":4000000,"type":"invoke","process":"nemesis","f":"start-cut"}
{"index":4,"time":5000000,"type":"info","process":"nemesis","f":"start-cut","value":{"fault":0}}
"""

#: of a store that is simulated: 50 operations
SIMULATED = b"".join(map(encode, Store(1, 50, keys=3, clients=2).ops())).decode()


def printed(results: dict[str, Any], short: bool = False, **options: Any) -> str:
    console = Console(file=io.StringIO(), highlight=False, **options)
    print_results(console, results, short=short)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_an_invalid_verdict_names_each_anomaly_with_its_first_proof() -> None:
    spoken = "invalid: the store broke its promises: lost-write 120 times.\n3.1 <is> gone.\n"
    assert printed(INVALID) == f"{spoken}\n  lost-write: 120\n    3.1 <is> gone\n"
    assert printed(INVALID, short=True) == spoken


def test_what_is_read_aloud_has_no_references() -> None:
    why = "k1 lost 3.1 (index 7), written at index 9 on n1. Faults active meanwhile: none."
    assert first_sentence(why) == "k1 lost 3.1, written on n1."
    assert len(first_sentence("word " * 900)) < 240


def test_an_unknown_verdict_gives_each_reason_once() -> None:
    assert printed(UNKNOWN) == "unknown\n  no final reads\n  no status\n"


def test_a_valid_verdict_is_one_word() -> None:
    assert printed({"valid": True, "anomalies": {}, "checkers": {}}) == "valid\n"


def test_long_proofs_are_wrapped_only_for_a_terminal() -> None:
    results = {**INVALID, "checkers": {"final": {"anomalies": [{**LOST, "why": "word " * 40}]}}}
    assert max(map(len, printed(results).splitlines())) > 80
    # as the commands do it: their other lines are not wrapped
    terminal = {"force_terminal": True, "width": 80, "color_system": None, "soft_wrap": True}
    wrapped = printed(results, **terminal)
    assert max(map(len, wrapped.splitlines())) <= 80
    assert wrapped.partition("lost-write: 120")[2].count("word") == 40


@pytest.mark.parametrize(
    ("results", "counts"), [(INVALID, ("3", "1", "0", "1")), (UNKNOWN, ("2", "0", "2", "0"))]
)
def test_junit_counts_what_is_in_it(results: dict[str, Any], counts: tuple[str, ...]) -> None:
    suite = ET.fromstring(junit({"name": "cart-cut", "seed": 7}, results))
    assert tuple(suite.get(n) for n in ("tests", "failures", "errors", "skipped")) == counts
    for kind, count in zip(("failure", "error", "skipped"), counts[1:], strict=True):
        assert len(suite.findall(f"testcase/{kind}")) == int(count)


def test_junit_reports_why() -> None:
    suite = ET.fromstring(junit({}, INVALID))
    (failure,) = suite.findall("testcase/failure")
    assert failure.get("message") == "lost-write: 3.1 <is> gone"


def test_neither_terminal_nor_xml_gets_control_characters() -> None:
    why = "7\x07\x1b[31m\x00\ufffe\ud83d of <k>\U0001f600é gone"
    odd = {**INVALID, "checkers": {"final": {"valid": False, "anomalies": [{**LOST, "why": why}]}}}
    shown = r"7\x07\x1b[31m\x00\ufffe\ud83d of <k>" + "\U0001f600é gone"
    assert shown in printed(odd)
    (failure,) = ET.fromstring(junit({}, odd)).findall("testcase/failure")
    assert failure.text == f"lost-write: {shown}"


def test_the_page_shows_proofs_and_the_course_of_the_test(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    folder.save_json(TEST, {"name": "cart-cut", "command": "dynamesis test --seed 7"})
    folder.save_json(RESULTS, INVALID)
    folder.save(HISTORY, HISTORY_LINES)
    shown = page(folder)
    assert "3.1 &lt;is&gt; gone" in shown
    assert "dynamesis test --seed 7" in shown
    assert "&#34;index&#34;:2" in shown
    assert "4 more of lost-write, and 115 only counted" in shown
    assert shown.count("start-cut") == 1


REACHED = {"hint-kept": 7, "read-repair": 0, "of <another> release": 1}


def test_the_page_shows_which_situations_were_reached(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    folder.save_json(TEST, {"name": "cart-cut"})
    folder.save_json(RESULTS, {**INVALID, "stats": {"situations": REACHED}})
    folder.save(HISTORY, HISTORY_LINES)
    shown = page(folder)
    assert 'href="#situations"' in shown
    assert "2 of 3 were reached" in shown
    assert '<th scope="row">hint-kept</th><td>7</td>' in shown
    assert "of &lt;another&gt; release" in shown
    assert shown.index("1 not reached") < shown.index("read-repair</th>")
    folder.save_json(RESULTS, INVALID)
    assert "situations" not in page(folder)


def test_a_verdict_ends_with_how_many_situations_were_reached() -> None:
    shown = printed({**INVALID, "stats": {"situations": REACHED}})
    assert "2 of 3 situations reached" in shown
    assert "situations" not in printed({**INVALID, "stats": {}})
    assert "situations" not in printed({**INVALID, "stats": {"situations": REACHED}}, short=True)


def test_long_values_are_folded_under_a_summary(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    folder.save_json(TEST, {"name": "cart-cut", "command": "dynamesis test --seed 7"})
    folder.save_json(RESULTS, INVALID)
    start, worth = (json.loads(HISTORY_LINES.splitlines()[index]) for index in (4, 2))
    start["value"] |= {"member": "link.slow", "links": [f"n{i}-n9" for i in range(40)]}
    worth["worth"] = {"replicas": 2, "coordinator": "n7"}
    lines = [*HISTORY_LINES.splitlines()[:2], *map(json.dumps, (worth, start))]
    folder.save(HISTORY, "\n".join(lines) + "\n")
    shown = page(folder)
    assert "<summary>fault 0, member link.slow, links (40)</summary>" in shown
    assert "n39-n9" in shown
    cited = [line for line in shown.splitlines() if "&#34;index&#34;:2" in line]
    assert cited
    assert not any("n7" in line for line in cited)
    assert "<summary>quorum information</summary>" in shown


def test_short_values_are_shown_as_they_are() -> None:
    assert brief({"fault": 0}) is None
    assert brief("words " * 100) is None
    assert brief([{"at": i} for i in range(50)]) == "50 entries"
    assert len(brief({str(i): i for i in range(99)}) or "") == 100


def test_the_page_needs_bokehs_scripts_but_not_its_python(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    folder.save_json(TEST, {"name": "cart-cut"})
    folder.save_json(RESULTS, INVALID)
    folder.save(HISTORY, SIMULATED)
    write = (
        "import sys; from pathlib import Path; from dynamesis.harness.report.page import page; "
        "from dynamesis.harness.results.results import Folder; "
        f"shown = page(Folder(Path({str(tmp_path)!r}))); "
        "assert 'Bokeh' in shown; assert 'bokeh' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", write], check=True, timeout=120)


def test_the_page_loads_nothing_from_elsewhere(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    folder.save_json(TEST, {"name": "cart-cut"})
    folder.save_json(RESULTS, INVALID)
    folder.save(HISTORY, SIMULATED)
    shown = page(folder)
    before = shown[: shown.index('class="later"')]
    assert not re.findall(r"""(?:src|href)=["'](?!#|data:)""", before)
    assert "@import" not in before


def test_a_history_that_cannot_be_read_costs_the_plots_only(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    folder.save_json(TEST, {"name": "cart-cut"})
    folder.save_json(RESULTS, INVALID)
    folder.save(HISTORY, HISTORY_LINES + "{")
    shown = page(folder)
    assert "The history cannot be drawn" in shown
    assert "3.1 &lt;is&gt; gone" in shown
    assert 'id="facts"' not in shown


def test_operations_come_back_from_their_packed_columns() -> None:
    history = History.of(Store(1, 300, keys=5, clients=4).ops())
    packed = columns.operations(history)
    numbers = np.frombuffer(zlib.decompress(base64.b64decode(packed["packed"])), "<i4")
    table = numbers.reshape(len(columns.COLUMNS), packed["count"])
    found = dict(zip(columns.COLUMNS, table, strict=True))
    rows = np.flatnonzero((history.kind == 0) & (history.process != -2))
    assert np.cumsum(found["row+"]).tolist() == rows.tolist()
    assert np.cumsum(found["start+"]).tolist() == (history.time[rows] // 1000).tolist()
    lanes = {lane: [] for lane in set(found["lane"].tolist())}
    ends = rows + found["end"]
    for lane, row, end in zip(found["lane"].tolist(), rows.tolist(), ends.tolist(), strict=True):
        lanes[lane].append((row, end if end != row else len(history)))
    for spans in lanes.values():
        assert all(a[1] < b[0] for a, b in pairwise(spans[:-1]))


def test_what_the_harness_noted_has_no_outcome() -> None:
    noted = Op(index=0, type="info", process="nemesis", f="found-dead", value={"nodes": ["n1"]})
    asked = Op(index=1, process=3, f="get", key="k")
    lost = Op(index=2, type="info", process=3, f="get", key="k")
    history = History.of([noted, asked, lost])
    ended = [row["ended"] for row in operations(history, [0, 1])]
    assert ended == ["recorded (index 0)", "outcome unknown after 1.0 ms (index 2)"]
