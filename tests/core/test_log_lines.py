"""What a node logs of copies, hints and partitions: the lines that verdicts rest on."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import msgspec
import pytest
from dynamesis.cluster.core.protocol.events import Emit, Persist, Table, TimerFired
from dynamesis.cluster.core.protocol.messages import Change, PutReply
from dynamesis.cluster.core.protocol.storage_reader import Damaged
from dynamesis.cluster.core.storage.buffer import Buffer
from dynamesis.cluster.core.storage.row_keys import hint_row, object_row
from dynamesis.cluster.process.eventlog import printable
from simulator import Simulator, idle_runtime

K = b"k"


def lines(sim: Simulator, event: str, node: str | None = None) -> list[dict[str, Any]]:
    return [
        {"node": name, **emit.fields}
        for _, name, emit in sim.log
        if emit.event == event and node in (None, name)
    ]


def primaries(sim: Simulator, key: bytes = K) -> tuple[str, ...]:
    view = sim.nodes["n1"].view
    return tuple(view.primaries(view.partition(key)))


def without(sim: Simulator, target: str) -> str:
    """Put while a primary is out of reach; returns the node that kept the hint."""
    other = next(n for n in primaries(sim) if n != target)
    sim.isolate(target)
    sim.run(3)
    assert isinstance(sim.put(other, K, b"v"), PutReply)
    sim.run(1)
    (holder,) = {line["node"] for line in lines(sim, "stored") if line.get("hint_for") == target}
    return holder


def test_a_hint_is_named_alike_where_it_is_kept_handed_off_and_received() -> None:
    sim = Simulator()
    target = primaries(sim)[0]
    holder = without(sim, target)
    sim.heal()
    sim.until(lambda: bool(lines(sim, "handed-off")))
    (sent,) = lines(sim, "handed-off")
    kept = [line for line in lines(sim, "stored", holder) if line.get("hint_for") == target]
    came = [
        line
        for what in ("stored", "held")
        for line in lines(sim, what, target)
        if line["why"] == "handoff"
    ]
    assert sent["node"] == holder
    assert sent["to"] == [target]
    assert sent["hash"] == kept[-1]["hash"] == came[-1]["incoming"]


def test_a_place_that_no_one_takes_is_reported_with_the_nodes_left() -> None:
    sim = Simulator(members=3)
    target = primaries(sim)[2]
    sim.crash(target)
    assert isinstance(sim.put(primaries(sim)[0], K, b"v"), PutReply)
    sim.run(2)
    (line,) = lines(sim, "unplaced")
    assert (line["primary"], line["left"]) == (target, {})
    assert target in line["failed"]
    strict = Simulator()
    strict.crash(primaries(strict)[2])
    strict.put(primaries(strict)[0], K, b"v", sloppy=False)
    strict.run(2)
    assert lines(strict, "unplaced")[0]["left"] == {}


def test_a_copy_that_was_no_news_is_reported() -> None:
    sim = Simulator()
    sim.put("n1", K, b"v")
    sim.run(0.2)
    for node in primaries(sim)[1:]:
        sim.nodes[node].replica.put(
            K, sim.nodes[node].replica.own(K).state, None, "put", lambda code: None
        )
        sim.run(2)
    assert {line["node"] for line in lines(sim, "held")} >= set(primaries(sim)[1:])


def test_a_get_reports_which_node_answered_with_which_versions() -> None:
    sim = Simulator()
    sim.put("n1", K, b"v")
    sim.run(0.5)
    sim.get("n1", K)
    (line,) = lines(sim, "read")
    (dot,) = {line["dot"] for line in lines(sim, "stored") if line["why"] == "stamp"}
    assert set(line["answers"]) <= set(primaries(sim))
    assert all(dots == [dot] for dots in line["answers"].values())


def test_a_newcomer_logs_which_nodes_answered_before_it_serves() -> None:
    sim = Simulator()
    sim.put("n1", K, b"v")
    sim.add("n6")
    sim.run(1)
    sim.admin("n1", "join", node="n6")
    sim.until(lambda: any(line["gained"] for line in lines(sim, "serves", "n6")), 60)
    gained = {p for line in lines(sim, "serves", "n6") for p in line["gained"]}
    ready = {p for line in lines(sim, "ready-for", "n6") for p in line["partitions"]}
    exchanged = {
        (line["peer"], p) for line in lines(sim, "exchange", "n6") for p in line["partitions"]
    }
    moving = [line for line in lines(sim, "layout", "n6") if "target" in line]
    assert moving
    assert gained <= ready
    for line in lines(sim, "transfer-ready", "n6"):
        assert line["sources"]
        assert {(peer, line["partition"]) for peer in line["sources"]} <= exchanged


def test_rows_that_could_not_be_stored_are_named_by_their_keys() -> None:
    runtime = idle_runtime()

    def label(row: bytes) -> dict[str, object]:
        return {"key": row[4:]}

    buffer = Buffer[bytes]("objects", runtime, bytes, lambda key, value: None, 10, 0.1, label)
    for key in (b"a", b"b"):
        buffer.put(object_row(3, key), b"v", False, lambda code: None)
    buffer.flush()
    (persist,) = (effect for effect in runtime.drain() if isinstance(effect, Persist))
    runtime.persisted(persist.token, "disk full")
    (line,) = (effect.fields for effect in runtime.drain() if isinstance(effect, Emit))
    assert printable(line["rows"]) == [{"key": "a"}, {"key": "b"}]
    buffer.put(object_row(3, b"c"), b"v", True, lambda code: None)
    (persist,) = (effect for effect in runtime.drain() if isinstance(effect, Persist))
    runtime.persisted(persist.token, "disk full")
    (line,) = (effect.fields for effect in runtime.drain() if isinstance(effect, Emit))
    assert (line["key"], line["reason"], line["table"]) == (b"c", "disk full", "objects")


def test_what_a_disk_refused_is_logged_as_undone_with_what_is_there_instead() -> None:
    sim = Simulator(anti_entropy_interval=0)
    first = primaries(sim)[0]
    assert isinstance(sim.put(first, K, b"v"), PutReply)
    sim.run(1)
    (stored,) = lines(sim, "stored", first)
    sim.disk_errors = 1.0
    assert not isinstance(sim.put(first, K, b"w"), PutReply)
    (undone,) = lines(sim, "undone", first)
    lost = lines(sim, "stored", first)[-1]["hash"]
    assert (undone["key"], undone["hash"], undone["now"]) == (K, lost, stored["hash"])
    other = b"other"
    assert not isinstance(sim.put(primaries(sim, other)[0], other, b"w"), PutReply)
    assert lines(sim, "undone", primaries(sim, other)[0])[-1]["now"] is None


@pytest.mark.parametrize("refused", ["objects", "hints"])
def test_what_a_disk_refused_of_a_row_that_it_cannot_read_leaves_open_what_is_there(
    refused: Table,
) -> None:
    """A row whose bits have flipped is neither a record nor the absence of one."""
    sim = Simulator(anti_entropy_interval=0, handoff_interval=1000)
    first, target = primaries(sim)[0], primaries(sim)[1]
    core = sim.nodes[first]
    table = core.objects if refused == "objects" else core.hints.records
    row = object_row(core.view.partition(K), K) if refused == "objects" else hint_row(target, K)
    assert isinstance(sim.put(first, K, b"v"), PutReply)
    sim.run(1)
    record = core.objects.get(object_row(core.view.partition(K), K))
    assert record is not None
    sim.stores[first].tables[refused][row] = b"\xc1"
    answers: list[str | None] = []
    sim.disk_errors = 1.0
    table.merge(row, record.state, "put", answers.append)
    sim.run(1)
    assert answers == ["storage-write"]
    (undone,) = lines(sim, "undone", first)
    assert (undone["hash"], undone["now"]) == (f"{record.hash:016x}", None)
    assert undone["unreadable"] is True


def test_a_hint_that_could_not_be_stored_is_named_by_key_and_target() -> None:
    sim = Simulator()
    records = sim.nodes["n1"].hints.records
    assert records.buffer._label(hint_row("n2", K)) == {"key": K, "hint_for": "n2"}


def test_what_a_put_stamps_after_a_failed_forward_names_its_request() -> None:
    """A put that comes to be stamped here only because another node could not be reached."""
    sim = Simulator()
    runtime = sim.nodes["n1"].runtime
    with runtime.working_on("7.7"):
        runtime.emit("any")
    runtime.emit("other")
    first, second = (e for e in runtime.drain() if isinstance(e, Emit))
    assert first.fields["request"] == "7.7"
    assert "request" not in second.fields


def test_a_node_that_was_closed_serves_nothing_also_where_it_was_asked_back() -> None:
    # it closed itself while another node planned its return
    sim = Simulator(partitions=16, n=1, r=1, w=1)
    membership = sim.nodes["n5"].membership
    before = membership.layout
    assert before is not None
    owners = tuple("n1" if owner == "n5" else owner for owner in before.owners)
    back = msgspec.structs.replace(
        before, version=before.version + 1, owners=owners, target=("n5",) * 16
    )
    membership.adopt(back, {"000001-n5-0-close-n5": Change("000001-n5-0-close-n5", "close", "n5")})
    sim.feed("n5", TimerFired("next"))
    last = lines(sim, "serves", "n5")[-1]
    assert last["gained"] == []
    assert last["lost"]


def test_a_copy_that_is_acknowledged_from_memory_is_logged_so() -> None:
    sim = Simulator(durability="buffered")
    first, *_ = primaries(sim)
    assert sim.put(first, K, b"v", dw=2).worth.durable == 2
    sim.run(0.1)
    memory = [line["node"] for line in lines(sim, "stored") if line.get("durable") is False]
    assert memory == [first]
    other = Simulator()
    other.put("n1", K, b"v")
    assert not any("durable" in line for line in lines(other, "stored"))


def test_a_damaged_row_whose_healing_a_disk_refused_is_healed_by_an_exchange() -> None:
    """Found by simulate (seed 290): the tree took the row out twice, so that it showed it again."""
    sim = Simulator(anti_entropy_interval=1.0)
    first = primaries(sim)[0]
    objects = sim.nodes[first].objects
    row = object_row(sim.nodes[first].view.partition(K), K)
    assert isinstance(sim.put(first, K, b"v"), PutReply)
    sim.run(3)
    record = objects.get(row)
    assert record is not None
    sim.stores[first].tables["objects"][row] = b"\xc1"
    with pytest.raises(Damaged):
        objects.get(row)
    sim.disk_errors = 1.0
    objects.merge(row, record.state, "put", lambda code: None)
    sim.run(1)
    assert lines(sim, "undone", first)
    sim.disk_errors = 0.0
    sim.until(lambda: sim.stores[first].tables["objects"][row] != b"\xc1", within=20)


def test_no_line_names_another_node_as_its_writer() -> None:
    # one that did made a log look whole after its node's SIGKILL, and a hand-off look lost
    found = []
    for file in sorted((Path(__file__).parents[2] / "cluster").rglob("*.py")):
        for call in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(call, ast.Call) and getattr(call.func, "attr", "") in ("emit", "_emit"):
                names = {keyword.arg for keyword in call.keywords}
                if names & {"node", "time", "mono", "event"}:
                    found.append(f"{file.name}:{call.lineno}")
    assert not found
