"""What the pictures of anomalies show, as static SVG: by the texts that are in them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from dynamesis.checkers.graph.run import Run
from dynamesis.checkers.history.history import History, Op, Sibling
from dynamesis.checkers.logs.logs import Logs
from dynamesis.harness.check.drawn import save_pictures
from dynamesis.harness.check.evaluate import judge_history, read
from dynamesis.harness.cli.app import run as main
from dynamesis.harness.report.pictures.elements import element_table
from dynamesis.harness.report.pictures.gallery import Gallery
from dynamesis.harness.report.pictures.intervals import interval_picture
from dynamesis.harness.report.pictures.svg import Drawing, short, wrapped
from dynamesis.harness.report.summary import described
from dynamesis.harness.results.results import HISTORY, RESULTS, TEST, Folder

from tests.checkers.test_corpus_of_models import judged

HISTORIES = Path(__file__).parent.parent / "histories"


def texts(svg: str) -> list[str]:
    """The texts of a picture, and the classes of those that are red."""
    return [e.text or "" for e in ElementTree.fromstring(svg).iter() if e.tag.endswith("text")]


def red(svg: str) -> list[str]:
    return re.findall(r'<text [^>]*class="bad"[^>]*>([^<]*)<', svg)


def pictures(path: Path, logs: Logs | None = None) -> dict[str, dict[str, str]]:
    """By anomaly, of the first of its name: by kind of picture its SVG."""
    beside = path.with_suffix(".test.json")
    test: dict[str, Any] = json.loads(beside.read_text()) if beside.exists() else {}
    history = read(path)
    found = described(judge_history(history, test))
    return _drawn(Gallery(Run(history, test), logs, found), found)


def of_model(name: str) -> dict[str, dict[str, str]]:
    path = HISTORIES / f"models/bad/{name}.edn"
    found = [anomaly.to_dict() for anomaly in judged(path).anomalies]
    return _drawn(Gallery(Run(read(path)), None, found), found)


def _drawn(gallery: Gallery, found: list[dict[str, Any]]) -> dict[str, dict[str, str]]:
    by_name: dict[str, dict[str, str]] = {}
    for anomaly in found:
        made = {p.kind: p.drawing.standalone() for p in gallery.pictures(anomaly)}
        by_name.setdefault(str(anomaly["name"]), made)
    return by_name


def test_a_lost_write_is_red_and_the_read_that_lacks_it_beside_it() -> None:
    drawn = pictures(HISTORIES / "bad/lost-item,lost-write-branch-gone.jsonl")["lost-write"]
    shown = texts(drawn["versions"])
    assert [text for text in red(drawn["versions"]) if text.startswith("put 1.1")]
    assert "shows 0.1" in shown
    assert "dash" in drawn["versions"]


def test_of_a_false_sibling_the_lower_is_red_and_the_arrow_goes_through_its_context() -> None:
    drawn = pictures(HISTORIES / "bad/false-sibling-direct.jsonl")["false-sibling"]["versions"]
    assert [text.split(" =")[0] for text in red(drawn)] == ["put 0.1"]
    assert any(text.startswith("put 0.2") for text in texts(drawn))


def test_a_divergence_has_a_column_a_replica_and_what_is_lacking_in_red() -> None:
    drawn = pictures(HISTORIES / "bad/divergence-one-sibling-short.jsonl")["divergence"]["versions"]
    assert len([text for text in texts(drawn) if text.startswith("replica ")]) >= 2
    assert red(drawn)


def test_every_reason_of_a_cycle_is_beside_its_arrow() -> None:
    drawn = of_model("list-append/G0-three-transactions")["G0"]["cycle"]
    shown = " ".join(texts(drawn))
    assert all(f"T{n}" in shown for n in (1, 2, 3))
    assert shown.count("ww (overwrote)") == 3


def test_a_register_has_a_band_for_each_value_that_it_must_have_held() -> None:
    drawn = of_model("register/nonlinearizable-back-and-forth")["nonlinearizable"]["operations"]
    assert [text for text in red(drawn) if text.startswith("held")] == [
        "held at some instant 1", "held nil",
    ]  # fmt: skip
    assert "index 1" in texts(drawn)  # a history without times has no seconds


@pytest.mark.parametrize(
    ("name", "order", "beyond"),
    [
        ("cas-register/nonlinearizable-cas-of-what-was-gone", "held 2", "cas [1 3]"),
        ("kv/nonlinearizable-put-forgotten", 'held "c"', 'get "a"'),
        ("mutex/nonlinearizable-held-twice", "was held", "acquire"),
    ],
)
def test_what_no_order_explains_is_beside_the_longest_order(
    name: str, order: str, beyond: str
) -> None:
    drawn = of_model(name)["nonlinearizable"]
    assert list(drawn) == ["orders"]
    shown = texts(drawn["orders"])
    assert "1" in shown
    assert any(order in text for text in shown)
    assert red(drawn["orders"]) == [beyond, "\u2715", f"\u2715 None of them leads to {beyond}."]
    assert not any("nil" in text for text in shown)


def test_the_labels_of_short_bars_are_whole_where_a_lane_has_room_beside_or_below() -> None:
    h = History.of(_short_register())
    drawing = interval_picture(h, {"name": "nonlinearizable", "ops": [0, 1, 14, 15]})
    assert drawing is not None
    shown = texts(drawing.inline())
    assert {"write 272", "read 272", "write 305", "read 305"} <= set(shown)
    assert not [text for text in shown if "\u2026" in text]


def _short_register() -> list[Op]:
    """Bars of equal width: two in a row of a client, one that ends the history."""
    steps = [(5, "write", 272), (5, "read", 272), (6, "write", 286), (6, "write", 305),
             (4, "read", 272), (7, "read", 286), (4, "read", 305), (8, "read", 305)]  # fmt: skip
    ops = []
    for i, (process, f, value) in enumerate(steps):
        for kind, at in (("invoke", 2 * i), ("ok", 2 * i + 1)):
            shown = value if f == "write" or kind == "ok" else None
            ops.append(Op(at, at * 1_000_000, kind, process, f, "k0", value=shown))
    return ops


def test_no_arrow_crosses_a_box() -> None:
    names = ("lost-item,lost-write-branch-gone", "resurrection-old-value",
             "monotonic-writes-missing", "false-sibling-direct")  # fmt: skip
    several = ("divergence", "writes-follow")
    found = [path for path in (HISTORIES / "bad").glob("*.jsonl")
             if path.stem in names or path.stem.startswith(several)]  # fmt: skip
    assert len(found) > 4
    for path in found:
        for name, drawn in pictures(path).items():
            if "versions" in drawn:
                assert crossings(drawn["versions"]) == [], (path.stem, name)


def crossings(svg: str) -> list[str]:
    """The arrows of which some point is inside a box."""
    elements = list(ElementTree.fromstring(svg).iter())
    boxes = [
        [float(e.get(part, 0)) for part in ("x", "y", "width", "height")]
        for e in elements
        if e.tag.endswith("rect") and "box" in e.get("class", "")
    ]
    assert boxes
    lines = [e.get("d", "") for e in elements if e.tag.endswith("path")]
    return [
        d
        for d in lines
        for x, y in _points(d)
        if any(a + 3 < x < a + w - 3 and b + 3 < y < b + h - 3 for a, b, w, h in boxes)
    ]


def _points(d: str) -> list[tuple[float, float]]:
    """Places along a path of M, H, V, L and Q, a few pixels apart."""
    x = y = 0.0
    found: list[tuple[float, float]] = []
    for kind, rest in re.findall(r"([MHVLQ])([^MHVLQ]*)", d):
        numbers = [float(n) for n in re.findall(r"-?[0-9.]+", rest)]
        to = (numbers[-1] if kind != "V" else x, numbers[-1] if kind != "H" else y)
        if kind not in "HV":
            to = (numbers[-2], numbers[-1])
        if kind != "M":
            found += [(x + (to[0] - x) * i / 50, y + (to[1] - y) * i / 50) for i in range(51)]
        x, y = to
    return found


def test_an_account_that_is_not_there_is_red_only_where_it_is_shown() -> None:
    drawn = of_model("bank/unexpected-key-instead")["unexpected-key"]["elements"]
    assert "nil" not in texts(drawn)
    assert "5" in red(drawn)


def test_a_bank_shows_accounts_by_read_with_the_wrong_total_in_red() -> None:
    drawn = of_model("bank/wrong-total-money-made")["wrong-total"]["elements"]
    assert {"a", "b", "total", "10"} <= set(texts(drawn))
    assert "11" in red(drawn)


def test_a_set_shows_which_reads_lack_the_element() -> None:
    drawn = of_model("set-full/stale-read-missing-then-back")["stale-read"]["elements"]
    assert red(drawn).count("\u2014") == 1
    assert "\u2713" in texts(drawn)


def test_a_set_of_one_key_is_shown_without_the_reads_of_others(tmp_path: Path) -> None:
    steps = [
        ("add", "a", 3, 3),
        ("add", "b", 9, 9),
        ("read", "b", None, [9]),
        ("read", "a", None, []),
    ]
    lines: list[dict[str, Any]] = []
    for process, (f, key, asked, given) in enumerate(steps):
        about = {"process": process, "f": f, "key": key}
        lines += [
            {"type": "invoke", **about, "value": asked},
            {"type": "ok", **about, "value": given},
        ]
    path = tmp_path / "history.jsonl"
    rows = [json.dumps({"index": i, "time": i * 10**9, **line}) for i, line in enumerate(lines)]
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    drawn = element_table(read(path), {"name": "lost-element", "key": "a", "ops": [1, 7]})
    assert drawn is not None
    shown = texts(drawn.standalone())
    assert "7" in shown  # the index of the only read of a
    assert "5" not in shown  # of b
    assert "9" not in shown  # what was added to b


def test_a_counter_shows_the_read_outside_its_bounds() -> None:
    drawn = of_model("counter/out-of-bounds-too-high")["out-of-bounds"]["elements"]
    assert [e.text for e in ElementTree.fromstring(drawn).iter() if "bad" in
            e.get("class", "").split() and e.text] == ["read 2"]  # fmt: skip


def test_the_lanes_of_the_nodes_show_where_a_version_went(tmp_path: Path) -> None:
    path = HISTORIES / "bad/lost-item,lost-write-branch-gone.jsonl"
    head = {"event": "stored", "key": "k"}
    lines = [
        {"mono": 55, "node": "n1", "why": "stamp", "request": "1.1", "dot": "d2",
         "holds": ["d1", "d2"], **head},
        {"mono": 70, "node": "n1", "why": "anti-entropy", "holds": ["d1"], **head},
        {"mono": 60, "node": "n2", "why": "put", "request": "1.1", "holds": ["d1", "d2"], **head},
    ]  # fmt: skip
    scaled = [{**line, "mono": line["mono"] * 1_000_000} for line in lines]
    drawn = pictures(path, Logs.of(scaled, 0))["lost-write"]["nodes"]
    assert "stamp of 1.1" in texts(drawn)
    assert red(drawn) == ["anti-entropy"]


def test_a_picture_that_cannot_be_drawn_costs_only_itself() -> None:
    ops = [Op(process=1, f="get", key="k"),
           Op(type="ok", process=1, f="get", key="k", siblings=[Sibling("9.9")])]  # fmt: skip
    run = Run(History.of(ops))
    broken = {"name": "phantom", "key": "k", "ops": [1], "data": {"cycle": [{"no": "step"}]}}
    kinds = [p.kind for p in Gallery(run, None, [broken]).pictures(broken)]
    assert kinds == ["versions"]


def test_texts_are_shortened_wrapped_and_spelled() -> None:
    assert short("a\n b\x00" + "c" * 50, 12) == "a b\\x00cccc\u2026"
    assert wrapped("one two three four", 60, 2) == ["one two", "three \u2026"]
    drawing = Drawing("<t>", 10, 10)
    drawing.text(1, 2, "<b>&")
    assert "&lt;b&gt;&amp;" in drawing.inline()
    assert 'aria-label="&lt;t&gt;"' in drawing.inline()


def test_the_command_writes_the_pictures_as_files(tmp_path: Path) -> None:
    history = HISTORIES / "bad/lost-item,lost-write-branch-gone.jsonl"
    folder = Folder(tmp_path / "test")
    folder.path.mkdir()
    folder.save(HISTORY, history.read_text())
    folder.save(TEST, history.with_suffix(".test.json").read_text())
    into = tmp_path / "deep" / "svg"
    assert main(["report", str(folder.path), "--svg", str(into)]) == 1
    assert "lost-write-1-versions.svg" in {path.name for path in into.iterdir()}
    for path in into.iterdir():
        root = ElementTree.parse(path).getroot()
        assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert list(save_pictures(folder, into))
    assert folder.load_json(RESULTS)["valid"] is False


def test_a_folder_that_cannot_be_made_is_one_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    history = HISTORIES / "bad/false-sibling-direct.jsonl"
    folder = Folder(tmp_path / "test")
    folder.path.mkdir()
    folder.save(HISTORY, history.read_text())
    folder.save(TEST, history.with_suffix(".test.json").read_text())
    (tmp_path / "file").write_text("")
    assert main(["report", str(folder.path), "--svg", str(tmp_path / "file" / "svg")]) == 2
    assert "--svg" in capsys.readouterr().err


def test_a_foreign_history_has_the_same_page(tmp_path: Path) -> None:
    history = HISTORIES / "models/bad/list-append/G0-three-transactions.edn"
    into = tmp_path / "page.html"
    assert main(["check", "--model", "list-append", "--report", str(into), str(history)]) == 1
    page = into.read_text(encoding="utf-8")
    assert "ww (overwrote)" in page
    assert "process 0" in page
    assert 'id="facts"' in page
    both = [str(history), str(history)]
    assert main(["check", "--model", "list-append", "--report", str(into), *both]) == 2


def test_the_picture_of_a_counter_has_a_caption_of_its_own() -> None:
    path = HISTORIES / "models/bad/counter/out-of-bounds-too-high.edn"
    found = [anomaly.to_dict() for anomaly in judged(path).anomalies]
    captions = [p.caption for p in Gallery(Run(read(path)), None, found).pictures(found[0])]
    assert captions == ["What the counter can have been, and what reads showed"]


def test_a_picture_of_few_operations_is_as_narrow_as_a_phone_and_fills_its_width() -> None:
    drawn = of_model("unique-ids/duplicate-ids-one-client")["duplicate-ids"]["operations"]
    assert 'width="520"' in drawn
    assert 'text x="508"' in drawn, "without times the last event is at the end"


def test_an_echo_shows_what_was_sent_and_what_came() -> None:
    drawn = of_model("echo/wrong-echo-another")["wrong-echo"]["operations"]
    assert 'echo "a": "b"' in texts(drawn)
