"""A real node process and what may come to it: good, bad, half, too much, too late."""

from __future__ import annotations

import asyncio
import re
import signal
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from dynamesis.cluster.client.admin import AdminError
from dynamesis.cluster.client.client import BadRequest, Client, Connection, DynamoError, InDoubt
from dynamesis.cluster.core.protocol.messages import (
    PROTOCOL,
    Ask,
    Get,
    GetReply,
    Hello,
    Message,
    Ping,
    Pong,
    Put,
    PutReply,
    Refusal,
    ReplicaGet,
    ReplicaGetReply,
)
from dynamesis.cluster.net.wire import CLIENT_LIMIT, encode
from dynamesis.harness.processes.ports import reserve
from node_world import ADMIN, CLIENT, NodeAlone, Raw, alive, ended, gone, in_loop, until, wait_until

pytestmark = pytest.mark.cluster


@pytest.fixture
def node(tmp_path: Path) -> Iterator[NodeAlone]:
    with reserve(2) as ports, ended(NodeAlone(tmp_path, ports.take(), ports.take())) as node:
        yield node


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeAlone]:
    """A node for all tests that leave nothing behind in it."""
    folder = tmp_path_factory.mktemp("shared")
    with reserve(2) as ports, ended(NodeAlone(folder, ports.take(), ports.take())) as node:
        node.start()
        yield node


async def refused_a_frame(node: NodeAlone, seen: int, reason: str) -> None:
    """Wait until a frame was refused for this reason; `seen`: how many were, before it came."""

    def logged() -> bool:
        return any(reason in each["reason"] for each in node.events("bad-frame")[seen:])

    await until(logged, "it is logged")


async def works(node: NodeAlone) -> None:
    async with Client([node.address]) as store:
        await store.put(b"still", b"here")
        assert b"here" in (await store.get(b"still")).values


# ---- greetings


@in_loop
async def test_the_accepting_side_speaks_first(shared: NodeAlone) -> None:
    await shared.ready()
    for address in (shared.address, shared.admin):
        raw = await Raw.dial(address)
        hello = await raw.read()
        assert isinstance(hello, Hello)
        assert hello == Hello("n1", "dynamesis", PROTOCOL, "node", hello.nonce, b"", hello.config)
        raw.close()


@pytest.mark.parametrize(
    ("greeting", "reason"),
    [
        (Hello("", "other", role="client"), "this is cluster 'other', not 'dynamesis'"),
        (
            Hello("", "dynamesis", PROTOCOL + 1, "client"),
            f"protocol {PROTOCOL + 1} is spoken there, {PROTOCOL} here",
        ),
        (Hello("n9", "dynamesis", role="node"), "node 'n9' is not known here"),
        (Get(1, b"k"), "Get came before HELLO"),
    ],
)
@in_loop
async def test_a_wrong_greeting_is_refused(
    shared: NodeAlone, greeting: Message, reason: str
) -> None:
    await shared.ready()
    seen = len(shared.events("bad-frame"))
    raw = await Raw.dial(shared.address)
    assert isinstance(await raw.read(), Hello)
    raw.say(greeting)
    refusal = await raw.read()
    assert isinstance(refusal, Refusal)
    assert (refusal.rid, refusal.code) == (0, "bad-request")
    assert reason in refusal.message
    assert await raw.read() is None
    await refused_a_frame(shared, seen, reason)
    await works(shared)


@pytest.mark.parametrize(
    ("mine", "address", "greeting", "reason"),
    [
        (CLIENT, "address", ReplicaGet(5, b"k"), "ReplicaGet is not for a client here"),
        (CLIENT, "address", Ask(5, "status"), "Ask is not for a client here"),
        (CLIENT, "address", Pong(5), "Pong is not for a client here"),
        (ADMIN, "admin", Get(5, b"k"), "Get is not for an administrator here"),
        (Hello("n1", "dynamesis"), "address", Get(5, b"k"), "Get is not for a node here"),
    ],
)
@in_loop
async def test_what_a_role_may_not_say_is_refused_and_no_more(
    shared: NodeAlone, mine: Hello, address: str, greeting: Message, reason: str
) -> None:
    await shared.ready()
    raw = await Raw.greeted(getattr(shared, address), mine)
    raw.say(greeting)
    assert await raw.read() == Refusal(5, "bad-request", reason)
    if mine.role == "node":
        raw.say(Ping(6))
        assert await raw.read() == Pong(6)
    elif address == "address":
        raw.say(Get(6, b"k"))
        assert isinstance(await raw.read(), GetReply)
    raw.close()


@in_loop
async def test_a_member_may_speak_as_a_node(shared: NodeAlone) -> None:
    await shared.ready()
    raw = await Raw.greeted(shared.address, Hello("n1", "dynamesis"))
    raw.say(ReplicaGet(1, b"k"))
    assert await raw.read() == ReplicaGetReply(1, None)
    raw.close()


@in_loop
async def test_no_node_has_business_on_the_admin_port(shared: NodeAlone) -> None:
    await shared.ready()
    raw = await Raw.dial(shared.admin)
    assert isinstance(await raw.read(), Hello)
    raw.say(Hello("n1", "dynamesis"))
    refusal = await raw.read()
    assert isinstance(refusal, Refusal)
    assert "a node has no business on this port" in refusal.message
    assert await raw.read() is None


# ---- bad frames


GET = encode(Get(9, b"k"))


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"\0\0\0\x03abc", "not a message"),
        (b"\x7f" * 4096, "is announced, the limit is 2097152"),
        (struct.pack(">I", CLIENT_LIMIT + 1), "2097153 bytes is announced"),
        (b"\0\0\0\x00", "not a message"),
        (GET + b"\0\0\0\x01\xc1", "not a message"),
    ],
)
@in_loop
async def test_a_bad_frame_ends_its_connection_and_nothing_else(
    shared: NodeAlone, data: bytes, reason: str
) -> None:
    await shared.ready()
    seen = len(shared.events("bad-frame"))
    good, bad = [await Raw.greeted(shared.address, CLIENT) for _ in range(2)]
    bad.write(data)
    answers = []
    while (message := await bad.read()) is not None:
        answers.append(message)
    refusal = answers[-1]
    assert isinstance(refusal, Refusal)
    assert (refusal.rid, refusal.code) == (0, "bad-request")
    assert reason in refusal.message
    assert len(answers) == 1 + data.startswith(GET)
    good.say(Put(1, "r1", b"k", b"v"))
    assert isinstance(await good.read(), PutReply)
    await refused_a_frame(shared, seen, reason)
    good.close()
    await works(shared)


@in_loop
async def test_half_a_frame_then_the_end(shared: NodeAlone) -> None:
    await shared.ready()
    good, bad = [await Raw.greeted(shared.address, CLIENT) for _ in range(2)]
    bad.write(GET[:-1])
    bad.half_close()
    refusal = await bad.read()
    assert isinstance(refusal, Refusal)
    assert f"the stream ended {len(GET) - 1} bytes into a frame" in refusal.message
    assert await bad.read() is None
    good.say(Get(1, b"k"))
    assert isinstance(await good.read(), GetReply)
    good.close()


@in_loop
async def test_half_a_frame_then_a_reset(shared: NodeAlone) -> None:
    await shared.ready()
    host, port = shared.address.split(":")
    with socket.create_connection((host, int(port))) as raw:
        raw.sendall(encode(CLIENT) + GET[:-1])
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    await works(shared)


# ---- limits


@in_loop
async def test_a_value_over_the_limit_is_refused_with_the_limit(shared: NodeAlone) -> None:
    await shared.ready()
    async with Client([shared.address]) as store:
        largest = bytes(1 << 20)
        await store.put(b"large", largest)
        with pytest.raises(BadRequest, match=r"1048577 bytes.* 1048576 bytes") as caught:
            await store.put(b"large", largest + b"x")
        assert (caught.value.code, caught.value.definite) == ("value-too-large", True)
        with pytest.raises(BadRequest, match="the limit of a frame is 2097152"):
            await store.put(b"large", bytes(3 << 20))
        with pytest.raises(BadRequest, match=r"1025 bytes.* 1024 bytes"):
            await store.get(b"k" * 1025)
        assert (await store.get(b"large")).values == (largest,)


@in_loop
async def test_an_answer_over_the_frame_limit_is_not_sent(node: NodeAlone) -> None:
    node.start("huge")
    await node.ready()
    connection = await Connection.open(node.address)
    with pytest.raises(InDoubt) as caught:
        await connection.get(b"k", timeout=0.2)
    assert caught.value.code == "timeout"
    assert not connection.closed
    await until(lambda: node.events("frame-too-large"), "it is logged")
    connection.close()


@in_loop
async def test_a_client_that_does_not_read_is_not_read_either(node: NodeAlone) -> None:
    node.start()
    await node.ready()
    async with Client([node.address]) as store:
        await store.put(b"big", bytes(1 << 20))
    before = (await node.ask("status"))["rss"]
    slow = await Raw.greeted(node.address, CLIENT)
    for rid in range(1, 61):
        slow.say(Get(rid, b"big"))
        await node.ask("status")  # the node has had a turn: it takes questions one by one
    grown = (await node.ask("status"))["rss"] - before
    assert grown < 30 << 20, f"{grown >> 20} MiB for a reader that does not read"
    for rid in range(1, 61):
        answer = await slow.read()
        assert isinstance(answer, GetReply)
        assert answer.rid == rid
    slow.close()


@in_loop
async def test_a_client_that_asks_for_more_than_it_takes_is_cut_off(node: NodeAlone) -> None:
    node.start()
    await node.ready()
    async with Client([node.address]) as store:
        await store.put(b"big", bytes(1 << 20))
    greedy = await Raw.greeted(node.address, CLIENT)
    greedy.say(*(Get(rid, b"big") for rid in range(1, 301)))
    await until(lambda: node.events("slow-reader"), "it is logged")
    assert (await node.ask("status"))["rss"] < 300 << 20
    greedy.close()
    await works(node)


# ---- administration


@in_loop
async def test_status_reports_on_the_process(node: NodeAlone) -> None:
    process = node.start()
    await node.ready()
    status = await node.ask("status")
    assert (status["node"], status["pid"], status["engine"]) == ("n1", process.pid, "memory")
    assert status["links"] == {}
    assert 1 << 20 < status["rss"] < 1 << 27
    with pytest.raises(AdminError, match="unknown command 'frobnicate'"):
        await node.ask("frobnicate")


# ---- ends


@in_loop
async def test_a_graceful_stop_answers_what_it_took_and_refuses_the_rest(node: NodeAlone) -> None:
    process = node.start("silent")
    await node.ready()
    raw = await Raw.greeted(node.address, CLIENT)
    admin = await Raw.greeted(node.admin, ADMIN)
    raw.say(Get(1, b"k"))
    process.send_signal(signal.SIGTERM)
    first = asyncio.ensure_future(raw.read())
    rid = 2
    while not first.done():  # the silent core takes these, until the shell refuses one
        raw.say(Get(rid, b"k"))
        rid += 1
        await asyncio.sleep(0.01)
    refusal = await first
    assert isinstance(refusal, Refusal)
    assert refusal.code == "stopping"
    assert process.poll() is None
    admin.say(Ask(1, "answer"))
    answered = []
    while (message := await raw.read()) is not None:
        answered.append(message)
    taken = [answer.rid for answer in answered if isinstance(answer, GetReply)]
    assert taken == list(range(1, refusal.rid))
    await until(lambda: process.poll() is not None, "it ends")
    assert process.returncode == 0
    assert node.events("stop")


@in_loop
async def test_the_command_stop_stops(node: NodeAlone) -> None:
    process = node.start()
    await node.ready()
    assert await node.ask("stop") == {"stopping": True}
    await until(lambda: process.poll() is not None, "it ends")
    assert process.returncode == 0


@in_loop
async def test_a_bug_in_the_core_ends_the_node_with_a_traceback(node: NodeAlone) -> None:
    process = node.start("crashing")
    await node.ready()
    async with Client([node.address]) as store:
        await store.put(b"k", b"v")
        with pytest.raises(DynamoError) as caught:
            await store.get(b"k")
        assert not caught.value.definite
    await until(lambda: process.poll() is not None, "it ends")
    assert process.returncode == 70
    (crash,) = node.events("crash")
    assert crash["error"] == "ZeroDivisionError('a bug in the core')"
    assert "cores.py" in crash["traceback"]
    assert "ZeroDivisionError: a bug in the core" in node.errors.read_text()


@pytest.mark.parametrize("which", ["listen", "admin"])
def test_a_taken_port_is_named(node: NodeAlone, which: str) -> None:
    address = node.address if which == "listen" else node.admin
    host, port = address.split(":")
    with socket.create_server((host, int(port))):
        assert node.start().wait(20) == 4
    assert f"cannot listen on {address}: " in node.errors.read_text()


def test_a_database_in_use_is_named(tmp_path: Path) -> None:
    with reserve(4) as ports:
        first, second = [
            NodeAlone(tmp_path, ports.take(), ports.take(), storage={"engine": "lmdb"})
            for _ in range(2)
        ]
        with ended(second), ended(first):
            second.start()
            wait_until(lambda: second.events("ready"), "the first is up")
            assert first.start().wait(20) == 4
    assert f"the database in {tmp_path / 'data'} is in use" in first.errors.read_text()


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"colour": 1}, "unknown field `colour`; allowed: node, listen"),
        ({"bugs": ["no-such-bug"]}, "bugs: .*no-such-bug"),
    ],
)
def test_a_wrong_configuration_ends_with_2(
    tmp_path: Path, config: dict[str, object], message: str
) -> None:
    node = NodeAlone(tmp_path, 7001, 7002, **config)
    with ended(node):
        assert node.start().wait(20) == 2
    (line,) = node.errors.read_text().splitlines()
    assert line.startswith(f"{tmp_path / 'node.json'}: ")
    assert re.search(message, line)


PARENT = """
import sys
sys.path[:0] = sys.argv[1:3]
from pathlib import Path
from node_world import NodeAlone
node = NodeAlone(Path(sys.argv[3]), int(sys.argv[4]), int(sys.argv[5]), parent="stdin")
print(node.start().pid, flush=True)
sys.stdin.read()
"""


def test_a_killed_parent_leaves_no_node(tmp_path: Path) -> None:
    here = Path(__file__).parent
    with reserve(2) as ports:
        parent = subprocess.Popen(
            [sys.executable, "-c", PARENT, str(here), str(here.parent.parent), str(tmp_path)]
            + [str(ports.take()) for _ in range(2)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert parent.stdout is not None
        assert parent.stdin is not None
        node = int(parent.stdout.readline())
        log = tmp_path / "node.log"
        wait_until(lambda: log.exists() and b'"ready"' in log.read_bytes(), "the node is up")
        assert alive(node)
        parent.kill()
        parent.wait()
        gone(node)
        parent.stdin.close()
        parent.stdout.close()


def test_nothing_heavy_is_imported() -> None:
    """Start and memory of a node, without timing anything."""
    heavy = {
        "numpy",
        "scipy",
        "networkx",
        "requests",
        "rich",
        "yaml",
        "typer",
        "dynamesis.cluster.zoo",
    }
    modules = ("cluster.__main__", "cluster.core.node.node", "cluster.storage.lmdb")
    code = f"import sys, dynamesis.{', dynamesis.'.join(modules)};print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not heavy & set(done.stdout.split())
    assert "dynamesis.cluster.core.node.node" in done.stdout
