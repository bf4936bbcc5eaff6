from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path

from dynamesis.cluster.process.eventlog import EventLog
from node_world import in_loop, until


@in_loop
async def test_one_line_an_event_written_without_being_asked(tmp_path: Path) -> None:
    path = tmp_path / "logs" / "node.log"
    log = EventLog(path, "n1", asyncio.get_running_loop(), time.time_ns)
    before = time.time()
    log.emit("stored", key=b"a\xff", rows=[(b"k", 1)], by={b"x": {"deep": b"y"}}, odd={1.5})
    log.emit("second\nline")
    assert path.read_bytes() == b""
    await until(path.read_bytes, "the log is flushed")
    first, second = map(json.loads, path.read_text().splitlines())
    assert (first["node"], first["event"]) == ("n1", "stored")
    assert before <= first["time"] <= time.time()
    assert isinstance(first["mono"], int)
    assert first["key"] == "a\\xff"
    assert first["rows"] == [["k", 1]]
    assert first["by"] == {"x": {"deep": "y"}}
    assert second["event"] == "second\nline"
    log.close()


@in_loop
async def test_what_was_logged_last_is_written_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "node.log"
    for event in ("first life", "second life"):
        log = EventLog(path, "n1", asyncio.get_running_loop(), time.time_ns)
        log.emit(event)
        log.close()
    assert [json.loads(line)["event"] for line in path.read_text().splitlines()] == [
        "first life",
        "second life",
    ]
