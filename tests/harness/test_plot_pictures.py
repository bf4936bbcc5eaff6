"""The plots over time as static SVG, by what is drawn in them."""

from __future__ import annotations

import json
import math
from pathlib import Path
from xml.etree import ElementTree

import pytest
from dynamesis.checkers.history.history import Op, encode
from dynamesis.checkers.simulate.simulate import Store
from dynamesis.harness.check.drawn import save_pictures
from dynamesis.harness.check.evaluate import judge, save
from dynamesis.harness.report.plots.frame import ticks
from dynamesis.harness.results.results import HISTORY, TEST, Folder

from tests.hostile import hostile_report

LOST = Path(__file__).parent.parent / "histories/bad/lost-item,lost-write-branch-gone.jsonl"
PLOTS = {"timeline.svg", "latency.svg", "rate.svg", "availability.svg", "siblings.svg"}


def pictures_of(history: bytes, test: dict[str, object], into: Path) -> dict[str, str]:
    folder = Folder(into)
    (into / HISTORY).write_bytes(history)
    folder.save_json(TEST, test)
    save(folder, judge(into / HISTORY, test))
    return {path.name: path.read_text() for path in save_pictures(folder, into / "svg")}


def elements(svg: str, name: str, cls: str = "") -> list[ElementTree.Element]:
    found = [e for e in ElementTree.fromstring(svg).iter() if e.tag.endswith(f"}}{name}")]
    return [e for e in found if not cls or cls in e.get("class", "").split()]


def test_a_timeline_has_each_operation_and_rings_those_of_the_anomaly(tmp_path: Path) -> None:
    test = json.loads(LOST.with_suffix(".test.json").read_text())
    made = pictures_of(LOST.read_bytes(), test, tmp_path)
    assert made.keys() >= PLOTS
    history = [json.loads(line) for line in LOST.read_text().splitlines()]
    clients = [e for e in history if isinstance(e["process"], int) and e["type"] == "invoke"]
    bars = [e for cls in ("ok", "fail", "info", "open")
            for e in elements(made["timeline.svg"], "rect", cls) if len(e)]  # fmt: skip
    assert len(bars) == len(clients)
    hints = [e[0].text or "" for e in elements(made["timeline.svg"], "rect", "ring") if len(e)]
    assert any("put 1.1" in hint for hint in hints)
    texts = {e.text for e in elements(made["timeline.svg"], "text")}
    assert {"boot", "load", "s since the test began", "failed for certain"} <= texts


def _faulty() -> list[Op]:
    """A node is killed from 1 s to 3 s of 4 s, while a client writes each half second."""
    fault = {"fault": 0, "member": "kill.one", "nodes": ["n2"]}
    ops = [Op(process=0, f="put", key="k", id=f"0.{i}", basis=None, time=i * 500_000_000)
           for i in range(8)]  # fmt: skip
    ends = [Op(type="ok", process=0, f="put", key="k", id=op.id, node="n1",
               time=op.time + 20_000_000) for op in ops]  # fmt: skip
    kills = [Op(type=kind, process="nemesis", f=f, value={**fault, **more}, time=int(at * 1e9))
             for f, at, more in (("start-kill", 1.0, {}), ("stop-kill", 3.0, {}))
             for kind in ("invoke", "info")]  # fmt: skip
    for index, op in enumerate(found := sorted([*ops, *ends, *kills], key=lambda op: op.time)):
        op.index = index
    return found


def test_a_fault_is_a_band_of_every_plot_and_a_state_of_its_node(tmp_path: Path) -> None:
    made = pictures_of(b"".join(map(encode, _faulty())), {"nodes": ["n1", "n2"]}, tmp_path)
    for name in ("timeline.svg", "latency.svg", "rate.svg", "availability.svg"):
        (band,) = elements(made[name], "rect", "band")
        assert float(band.get("width", "0")) == pytest.approx(910 * 2 / (3.52 * 1.01), rel=0.02)
    (state,) = elements(made["timeline.svg"], "rect", "badband")
    assert state[0].text == "n2 down"


def test_a_hundred_thousand_operations_stay_a_picture(tmp_path: Path) -> None:
    history = b"".join(map(encode, Store(1, 30_000, keys=20, clients=20).ops()))
    made = pictures_of(history, {"name": "big"}, tmp_path)
    assert all(len(svg) < 1_000_000 for svg in made.values()), {n: len(s) for n, s in made.items()}
    assert elements(made["timeline.svg"], "path", "ok")


def test_a_test_without_operations_has_no_plots_and_a_hostile_one_is_text(tmp_path: Path) -> None:
    idle = tmp_path / "idle"
    idle.mkdir()
    phase = encode(Op(index=0, time=0, type="info", process="harness", f="phase", value="load"))
    assert not PLOTS & pictures_of(phase, {}, idle).keys()
    hostile = hostile_report(tmp_path / "hostile").parent
    for path in save_pictures(Folder(hostile), tmp_path / "svg"):
        found = {e.tag.rpartition("}")[2] for e in ElementTree.fromstring(path.read_text()).iter()}
        assert found <= {"svg", "style", "rect", "text", "line", "path", "polygon", "circle",
                         "title", "g"}, path  # fmt: skip


@pytest.mark.parametrize("most", [0.001, 0.7, 1.0, 7.3, 99.9, 3600.0, 1e6])
@pytest.mark.parametrize("count", [1, 5, 10])
def test_ticks_are_round_and_as_many_as_fit(most: float, count: int) -> None:
    found = list(ticks(most, count))
    assert found[0] == 0
    assert found[-1] <= most * 1.000001
    assert len(found) <= count + 1
    if len(found) > 1:
        mantissa = found[1] / 10 ** math.floor(math.log10(found[1]) + 1e-9)
        assert round(mantissa, 6) in (1, 2, 5, 10)


def test_each_process_has_a_lane_with_its_name(tmp_path: Path) -> None:
    test = json.loads(LOST.with_suffix(".test.json").read_text())
    made = pictures_of(LOST.read_bytes(), test, tmp_path)
    texts = [e.text for e in elements(made["timeline.svg"], "text")]
    assert [text for text in texts if text in ("0", "1", "90")][-3:] == ["0", "1", "90"]
    assert "process" in texts


def test_a_history_without_times_is_drawn_by_index(tmp_path: Path) -> None:
    ops = [Op(process=p, f="put", key="k", id=f"{p}.0", basis=None) for p in (0, 1)]
    ops += [Op(type="ok", process=p, f="put", key="k", id=f"{p}.0", node="n1") for p in (0, 1)]
    lines = b"".join(encode(op) for op in stamped(ops, 0))
    made = pictures_of(lines, {"name": "untimed"}, tmp_path)
    assert made.keys() == {"timeline.svg"}
    texts = [e.text for e in elements(made["timeline.svg"], "text")]
    assert "index (the history has no times)" in texts


def stamped(ops: list[Op], time: int) -> list[Op]:
    for index, op in enumerate(ops):
        op.index, op.time = index, time
    return ops


def test_a_value_without_neighbours_is_as_long_as_its_window(tmp_path: Path) -> None:
    test = json.loads(LOST.with_suffix(".test.json").read_text())
    made = pictures_of(LOST.read_bytes(), test, tmp_path)
    lines = [e.get("d", "") for e in elements(made["availability.svg"], "path", "thin")]
    drawn = [d for d in lines if d.count("L") == 1 and not d.endswith(",146")]
    assert drawn
    for d in drawn[:3]:
        (x, y), (to, end) = (map(float, part.split(",")) for part in d[1:].split(" L"))
        assert y == end
        assert to - x > 10
