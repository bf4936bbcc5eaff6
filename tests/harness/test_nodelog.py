"""What nodes have logged, read in two ways: as a stream for readers, whole for judging."""

from __future__ import annotations

from pathlib import Path

import pytest
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


@pytest.mark.parametrize(
    "odd",
    [
        b"",
        b"\n",
        b'{"mono":5,"event":"x"}',
        b'{"mono":5,"event":"x"\n',
        b'{"mono":5}\n',
        b'{"mono":"5","event":"x"}\n',
        b'[1]\n{"mono":7,"event":"y"}\n',
        b'{"mono":1,"event":"behind"}\n',
        b'{"mono":5,"event":"x","v":NaN}\n',
        b'{"mono":5,"event":"\xff"}\n',
        b'{"mono":5,\n"event":"x"}\n',
    ],
)
def test_logs_in_memory_are_as_logs_line_by_line(tmp_path: Path, odd: bytes) -> None:
    """A log of events alone is decoded together."""
    good = b"".join(b'{"mono":%d,"node":"n1","event":"e"}\n' % n for n in (3, 2, 4))
    for number, content in enumerate((odd, good + odd, odd + good, good)):
        path = tmp_path / f"{number}.log"
        path.write_bytes(content)
        assert all_events({"n1": path}) == list(events({"n1": path}))
