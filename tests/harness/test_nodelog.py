"""What nodes have logged, read in two ways: as a stream for readers, whole for judging."""

from __future__ import annotations

from pathlib import Path

from dynamesis.harness.report.nodelog import all_events, events

LINES = {
    "n1": [
        b'{"mono":5,"node":"n1","event":"start"}',
        b'{"mono":9,"node":"n1","event":"clock","skew":NaN}',
        b'{"mono":7,"node":"n1","event":"behind"}',
        b'{"mono":12,"node":"n1","event":"odd","key":"\xff"}',
        b'{"mono":13,"node":"n1","ev',
    ],
    "n2": [
        b'{"mono":5,"node":"n2","event":"start"}',
        b"[1]",
        b'{"mono":8,"node":"n2","event":"x"}',
    ],
}


def test_all_events_are_those_of_the_stream_in_the_same_order(tmp_path: Path) -> None:
    logs = {}
    for node, lines in LINES.items():
        logs[node] = tmp_path / node
        logs[node].write_bytes(b"\n".join(lines))
    streamed, whole = list(events(logs)), all_events(logs)
    assert list(map(repr, streamed)) == list(map(repr, whole))
    shown = [(e["mono"], e["node"], e["event"]) for e in whole]
    assert shown == [
        (5, "n1", "start"),
        (5, "n2", "start"),
        (5, "n2", "(cut off)"),
        (8, "n2", "x"),
        (9, "n1", "clock"),
        (9, "n1", "behind"),
        (12, "n1", "odd"),
        (12, "n1", "(cut off)"),
    ]
    assert whole[6]["key"] == "\ufffd"
