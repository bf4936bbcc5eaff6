from __future__ import annotations

import asyncio
import fcntl
import json
import os
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest
from dynamesis.cluster.core.protocol.events import Emit
from dynamesis.cluster.process.eventlog import EventLog
from dynamesis.cluster.process.wallclock import WallClock
from node_world import in_loop, until


@in_loop
async def test_one_line_an_event_written_without_being_asked(tmp_path: Path) -> None:
    path = tmp_path / "logs" / "node.log"
    log = EventLog(path, "n1", asyncio.get_running_loop(), WallClock())
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
        log = EventLog(path, "n1", asyncio.get_running_loop(), WallClock())
        log.emit(event)
        log.close()
    assert [json.loads(line)["event"] for line in path.read_text().splitlines()] == [
        "first life",
        "second life",
    ]


def log_of(path: Path, **bounds: int) -> EventLog:
    return EventLog(path, "n1", asyncio.get_running_loop(), WallClock(), **bounds)


def events_in(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


@in_loop
async def test_a_device_is_not_renamed_however_much_is_logged_to_it(tmp_path: Path) -> None:
    path = tmp_path / "node.log"
    path.symlink_to("/dev/null")
    log = log_of(path, size=1000, files=3)
    for number in range(1000):
        log.emit("stored", number=number)
        log.flush()
    log.close()
    assert [file.name for file in tmp_path.iterdir()] == ["node.log"]


@in_loop
async def test_a_flood_of_lines_fills_so_many_files_of_so_many_bytes(tmp_path: Path) -> None:
    path = tmp_path / "node.log"
    log = log_of(path, size=10_000, files=3)
    for number in range(5000):
        log.emit("stored", number=number)
        if number % 20 == 0:
            log.flush()
    log.close()
    files = sorted(file.name for file in tmp_path.iterdir())
    assert files == ["node.log", "node.log.1", "node.log.2"]
    assert all(file.stat().st_size < 13_000 for file in tmp_path.iterdir())
    kept = [e["number"] for name in reversed(files) for e in events_in(tmp_path / name)]
    assert kept == list(range(int(str(kept[0])), 5000))


@in_loop
async def test_what_others_can_cause_is_limited_by_kind_and_the_rest_is_counted(
    tmp_path: Path,
) -> None:
    path = tmp_path / "node.log"
    log = log_of(path)
    for number in range(1000):
        log.emit("bad-frame", number=number)
        log.emit("stored", number=number)
    log.emit("wrong-secret")
    await until(lambda: b"dropped" in path.read_bytes(), "what was dropped is counted")
    log.emit("bad-frame", number=1000)
    log.close()
    kinds = [event["event"] for event in events_in(path)]
    assert kinds.count("bad-frame") == 101
    assert kinds.count("stored") == 1000
    assert kinds.count("wrong-secret") == 1
    (dropped,) = (event for event in events_in(path) if event["event"] == "dropped")
    assert (dropped["kind"], dropped["dropped"]) == ("bad-frame", 900)


@in_loop
async def test_lines_that_a_full_disk_does_not_take_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "node.log"
    log = log_of(path)
    good, full = log._file, open("/dev/full", "ab", buffering=0)  # noqa: SIM115
    log._file = full
    for _ in range(7):
        log.emit("stored")
    log.flush()
    log._file = good
    full.close()
    log.emit("stored")
    log.flush()
    log.close()
    first, dropped = events_in(path)
    assert first["event"] == "stored"
    assert (dropped["event"], dropped["kind"], dropped["dropped"]) == ("dropped", "disk", 7)


@in_loop
async def test_lines_of_every_request_are_those_of_any_other(tmp_path: Path) -> None:
    """They take a shorter way, on which only the key may be bytes."""
    fields: dict[str, Any] = {
        "why": "stamp",
        "hash": "00ff",
        "dot": "n1:a:1:7",
        "deleted": True,
        "holds": ["n1:a:1:7", "n2:b:1:3"],
        "answers": {"n1": ["n1:a:1:7"], "n2": []},
        "request": "r",
        "key": b"k\xff\n",
    }
    path = tmp_path / "log"
    log = EventLog(path, "n1", asyncio.get_running_loop(), WallClock())
    lines = [fields, {**fields}, {**fields}, {**fields}]
    del lines[1]["answers"]
    for name in ("answers", "request", "dot", "deleted"):
        del lines[2][name]
    del lines[3]["hash"]
    for line in lines:
        for only_key in (True, False):
            log.carry(Emit("stored", line, only_key))
    log.close()
    written = [json.loads(line) for line in path.read_text().splitlines()]
    assert len(written) == 2 * len(lines)
    for line in written:
        for name in ("time", "mono"):
            del line[name]
    assert written[::2] == written[1::2]
    for line, fields in zip(written[::2], lines, strict=True):
        assert line == {**fields, "node": "n1", "event": "stored", "key": "k\\xff\n"}


@in_loop
async def test_what_would_wait_for_ever_is_refused(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "no" / "where")
    for name, why in (("pipe", "a pipe without a reader"), ("folder", "Is a dir"), ("link", "No")):
        with pytest.raises(OSError, match=f"log: .*/{name} cannot be written: .*{why}.*; allowed"):
            log_of(tmp_path / name)


@in_loop
async def test_a_pipe_that_is_not_read_holds_no_node_up(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    log = log_of(pipe, size=1000)
    for number in range(5000):  # far more than a pipe takes
        log.emit("link-up", number=number)
    log.flush()
    content = b""
    for _ in range(2):
        while chunk := _read_now(reader):
            content += chunk
        log.emit("link-up", number=-1)
        log.flush()
    log.close()
    content += _read_now(reader)
    os.close(reader)
    whole = [line for line in content.split(b"\n") if line.endswith(b"}")]
    events = [msgspec.json.decode(line) for line in whole]
    (dropped,) = (event for event in events if event["event"] == "dropped")
    assert dropped["kind"] == "disk"
    kept = [event for event in events if event["event"] == "link-up" and event["number"] >= 0]
    assert len(kept) + dropped["dropped"] == 5000
    assert [event["number"] for event in kept] == list(range(len(kept)))
    assert len(events) == len(kept) + 3
    assert not list(tmp_path.glob("pipe.*"))


@in_loop
async def test_a_line_without_its_end_is_counted_once(tmp_path: Path) -> None:
    """A pipe that takes all of a line but its newline, and then nothing, and nothing again."""
    hit = False
    for attempt in range(2000):
        pipe = tmp_path / f"pipe-{attempt}"
        os.mkfifo(pipe)
        reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
        room = fcntl.fcntl(reader, fcntl.F_SETPIPE_SZ, 4096)
        log = log_of(pipe)
        log.emit("link-up", pad="x" * (room - 110 + attempt % 50))
        log.emit("link-down")
        log.flush()
        log.emit("link-up")
        log.flush()
        content = _read_now(reader)
        log.flush()  # the line `dropped`
        log.close()
        content += _read_now(reader)
        os.close(reader)
        hit |= content[room - 1 : room] == b"}"
        events = [json.loads(line) for line in content.splitlines() if line.endswith(b"}")]
        dropped = sum(event.get("dropped", 0) for event in events)
        assert len(events) - 1 + dropped == 3, content[-300:]
        if hit:
            return
    raise AssertionError("no line ended where the pipe did")


def _read_now(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 1 << 20)
    except BlockingIOError:
        return b""


@in_loop
async def test_a_line_that_a_kill_cut_off_takes_no_other_with_it(tmp_path: Path) -> None:
    path = tmp_path / "node.log"
    path.write_bytes(b'{"event": "stored"}\n{"event": "sto')
    log = log_of(path)
    log.emit("start")
    log.close()
    _, torn, after, nothing = path.read_bytes().split(b"\n")
    assert (torn, nothing) == (b'{"event": "sto', b"")
    assert msgspec.json.decode(after)["event"] == "start"


@in_loop
async def test_a_log_without_a_next_file_stays_bounded_and_keeps_the_others(tmp_path: Path) -> None:
    path = tmp_path / "node.log"
    numbered = [path.with_name(f"node.log.{number}") for number in (1, 2)]
    for older in numbered:
        older.write_text(older.name)
    in_the_way = path.with_name("node.log.new")
    in_the_way.mkdir()
    log = log_of(path, size=1000, files=3)
    sizes = []
    for _ in range(200):
        log.emit("link-up", peer="n2")
        log.flush()
        sizes.append(path.stat().st_size)
    assert 3000 > max(sizes) > 2500
    assert [older.read_text() for older in numbered] == ["node.log.1", "node.log.2"]
    assert "log-not-rotated" in {event["event"] for event in events_in(path)}
    assert sizes.count(0) > 1
    in_the_way.rmdir()
    before = path.read_bytes()
    while path.stat().st_size >= len(before):
        log.emit("link-up", peer="n2")
        log.flush()
    log.close()
    assert numbered[0].read_bytes().startswith(before)
    assert numbered[1].read_text() == "node.log.1"
    assert not in_the_way.exists()
