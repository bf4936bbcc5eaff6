"""Target cassandra: its protocol against bytes of the specification, its files, and real nodes."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Awaitable, Callable
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeVar

import pytest
import yaml
from dynamesis.harness.targets.cassandra.cql import Answered, CqlConnection
from dynamesis.harness.targets.cassandra.settings import configuration
from dynamesis.harness.targets.registry import load_target
from dynamesis.harness.targets.site import NodeSite, Site
from dynamesis.harness.targets.system import EnvironmentFailed

import dynamesis

T = TypeVar("T")


def text(content: str) -> bytes:
    return struct.pack(">H", len(content)) + content.encode()


def answered(
    kind: int, body: bytes, then: Callable[[CqlConnection], Awaitable[T]]
) -> tuple[T, bytes]:
    """What a connection makes of a frame of this kind, and what it had sent for it."""
    asked: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for frame, content in ((0x02, b""), (kind, body)):
            *_, length = struct.unpack(">BBhBI", await reader.readexactly(9))
            asked.append(await reader.readexactly(length))
            writer.write(struct.pack(">BBhBI", 0x84, 0, 0, frame, len(content)) + content)
        await writer.drain()
        writer.close()

    async def both() -> T:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        connection = await CqlConnection.open(f"127.0.0.1:{port}")
        try:
            return await asyncio.wait_for(then(connection), 10)
        finally:
            connection.close()
            server.close()

    found = asyncio.run(both())
    return found, asked[-1]


def test_rows_and_what_is_sent_for_them() -> None:
    columns = text("name") + struct.pack(">H", 0x0D) + text("n") + struct.pack(">H", 0x02)
    columns += text("[applied]") + struct.pack(">H", 0x04)
    head = struct.pack(">iii", 2, 1, 3) + text("space") + text("table") + columns
    first = struct.pack(">i", 2) + b"ab" + struct.pack(">iq", 8, -5) + struct.pack(">i", 1) + b"\1"
    second = struct.pack(">iii", -1, -1, -1)
    body = head + struct.pack(">i", 2) + first + second

    def ask(connection: CqlConnection) -> Awaitable[Any]:
        return connection.run("SELECT 1", ("x", 7, None), "quorum", timestamp=9)

    rows, sent = answered(0x08, body, ask)
    assert rows == [
        {"name": "ab", "n": -5, "[applied]": True},
        {"name": None, "n": None, "[applied]": None},
    ]
    bound = struct.pack(">i", 1) + b"x" + struct.pack(">iq", 8, 7) + struct.pack(">i", -1)
    flags = 0x01 | 0x10 | 0x20
    assert sent == b"".join(
        (
            *(struct.pack(">I", 8), b"SELECT 1", struct.pack(">HBH", 4, flags, 3), bound),
            *(struct.pack(">H", 8), struct.pack(">q", 9)),
        )
    )


@pytest.mark.parametrize(
    ("number", "code", "definite"),
    [
        (0x1000, "unavailable", True),
        (0x1100, "write-timeout", False),
        (0x1500, "write-failure", False),
        (0x1700, "cas-unknown", False),
        (0x0000, "error-0x0", False),
        (0x2200, "error-0x2200", True),
    ],
)
def test_which_errors_leave_a_doubt(number: int, code: str, definite: bool) -> None:
    async def ask(connection: CqlConnection) -> Answered:
        with pytest.raises(Answered) as error:
            await connection.run("SELECT 1")
        return error.value

    found, _ = answered(0x00, struct.pack(">i", number) + text("why"), ask)
    assert (found.code, found.definite, str(found)) == (code, definite, "why")


def test_the_nodes_share_the_ring_and_listen_where_they_are() -> None:
    nodes = {
        f"n{i}": NodeSite(
            f"n{i}", "127.0.0.1", {"client": 10 + i, "peer": 20 + i}, Path(f"/d/{i}"), Path("/log")
        )
        for i in (1, 2, 3)
    }
    options = {"commitlog": "compressed", "paxos": "v2"}
    site = Site(tuple(nodes), nodes, Path("/f"), lambda *_: "", options)
    files = [yaml.safe_load(configuration(node, site)) for node in nodes.values()]
    tokens = [file["initial_token"] for file in files]
    gaps = {b - a for a, b in pairwise(tokens)}
    assert tokens[0] == -(2**63)
    assert max(gaps) - min(gaps) <= 1
    assert [file["storage_port"] for file in files] == [21, 22, 23]
    seeds = files[0]["seed_provider"][0]["parameters"][0]["seeds"]
    assert seeds == "127.0.0.1:21,127.0.0.1:22,127.0.0.1:23"
    assert files[1]["hints_directory"] == "/d/2/hints"
    assert files[0]["commitlog_compression"] == [{"class_name": "LZ4Compressor"}]


@pytest.mark.cluster
@pytest.mark.parametrize(
    ("workload", "more", "verdict"),
    [
        ("set", [], dynamesis.Verdict.INVALID),
        # a JVM takes half a minute: one is enough to show that it starts, serves and is judged
        *(
            pytest.param(*each, marks=pytest.mark.nightly)
            for each in (
                ("register", ["registers=lwt"], dynamesis.Verdict.VALID),
                ("counter", [], dynamesis.Verdict.VALID),
            )
        ),
    ],
)
def test_one_node(
    workload: str, more: list[str], verdict: dynamesis.Verdict, tmp_path: Path
) -> None:
    """What concurrent clients lose does not need replicas."""
    try:
        load_target("cassandra").require()
    except EnvironmentFailed as missing:
        pytest.skip(str(missing))
    result = dynamesis.run_test(
        target="cassandra",
        store=tmp_path,
        workload=workload,
        nodes=1,
        nemesis="none",
        time_limit=5,
        seed=1,
        links="embedded",
        target_option=more,
    )
    assert result.verdict is verdict, result.explain()
