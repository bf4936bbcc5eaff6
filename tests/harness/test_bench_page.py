"""The page of `dynamesis bench checkers`."""

from __future__ import annotations

import xml.etree.ElementTree as ET

from dynamesis.harness.report.bench import Axis, bench_page

ROW = {"load_s": 1.0, "check_s": 1.0, "operations_per_s": 1, "valid": True}


def test_an_axis_spans_whole_powers_of_ten() -> None:
    axis = Axis.over([20, 5000], 0, 300)
    assert [axis.place(v) for v in (10, 100, 1000, 10_000)] == [0, 100, 200, 300]
    assert [label for _, label in axis.ticks()] == ["10", "100", "1,000", "10,000"]


def test_each_case_is_a_line_and_a_power_law_is_straight() -> None:
    rows = [
        {**ROW, "case": case, "operations": n, "cpu_s": cpu, "peak_mib": 100}
        for case, n, cpu in (
            ("dynamo", 10**4, 0.1),
            ("dynamo", 10**5, 1.0),
            ("dynamo", 10**6, 10.0),
            ("set", 10**4, 0.0),
        )
    ]
    page = bench_page(rows, {"dynamo": 1.0})
    svg = ET.fromstring(page[page.index("<svg") : page.index("</svg>") + 6])
    lines = [line.attrib["points"].split() for line in svg.iter("polyline")]
    assert [len(points) for points in lines] == [3, 1]
    (x0, y0), (x1, y1), (x2, y2) = (map(float, point.split(",")) for point in lines[0])
    assert abs((y2 - y1) / (x2 - x1) - (y1 - y0) / (x1 - x0)) < 0.01
    assert "<td>1.0</td></tr>" in page
