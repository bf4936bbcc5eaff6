"""What tests of the shell are built on: a loop, deadlines, ports, and a node process."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any, ClassVar

import msgspec
from dynamesis.cluster.client.admin import AdminClient
from dynamesis.cluster.core.protocol.messages import Hello, Message, Welcome
from dynamesis.cluster.net import auth as guard
from dynamesis.cluster.net.exceptions import DynamoError
from dynamesis.cluster.net.inbound import DATA, Inbound
from dynamesis.cluster.net.listener import Listener
from dynamesis.cluster.net.wire import ADMIN_LIMIT, NODE_LIMIT, Decoder, encode
from dynamesis.cluster.process.parent import PARENT
from dynamesis.harness.processes.ports import reserve

#: seconds for anything at all to happen, on a machine where many others want to run
PATIENCE = 100.0
#: of every cluster that these tests make
SECRET = "of the tests"


def in_loop(test: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    """Run an async test on a loop of its own."""

    @functools.wraps(test)
    def run(*args: Any, **kwargs: Any) -> None:
        asyncio.run(_then_hang_up(asyncio.wait_for(test(*args, **kwargs), 3 * PATIENCE)))

    return run


async def _then_hang_up(test: Awaitable[None]) -> None:
    try:
        await test
    finally:
        while Raw.made:
            Raw.made.pop().close()
        await asyncio.sleep(0)


def pauses() -> Iterator[float]:
    """Seconds between looks at something, ever longer: what takes half a minute to come, such as
    a node that gives up a client, is not looked for six thousand times."""
    pause = 0.005
    while True:
        yield pause
        pause = min(1.1 * pause, 0.1)


async def until(condition: Callable[[], Any], what: str) -> None:
    deadline, longer = time.monotonic() + PATIENCE, pauses()
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain until {what}"
        await asyncio.sleep(next(longer))


def wait_until(condition: Callable[[], Any], what: str) -> None:
    deadline, longer = time.monotonic() + PATIENCE, pauses()
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain until {what}"
        time.sleep(next(longer))


def alive(pid: int) -> bool:
    """Whether `pid` runs; a zombie does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text("ascii", "replace").rpartition(") ")[2]
    except OSError:
        return False
    return not state.startswith("Z")


def gone(*pids: int) -> None:
    """Wait until none of these lives; leave none behind if that is in vain."""
    try:
        wait_until(lambda: not any(map(alive, pids)), "they are gone")
    finally:
        for pid in filter(alive, pids):
            os.kill(pid, signal.SIGKILL)


def with_proof(mine: Hello, theirs: Hello, secret: str = SECRET) -> Hello:
    """`mine`, with the proof of a peer that has the secret."""
    mine = msgspec.structs.replace(mine, nonce=b"n" * 16)
    return msgspec.structs.replace(mine, proof=guard.proof(secret, "dialled", mine, theirs))


class Raw:
    """A connection on which a test may say anything. All are closed at the end of the test."""

    made: ClassVar[list[Raw]] = []

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._decoder = Decoder(ADMIN_LIMIT)
        self.made.append(self)

    @classmethod
    async def dial(cls, address: str, taken: int = 0) -> Raw:
        """`taken`: bytes that the kernel takes for this end before they are read; 0: as usual."""
        host, port = address.split(":")
        its = socket.socket()
        its.setblocking(False)
        if taken:
            its.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, taken)
        try:
            await asyncio.get_running_loop().sock_connect(its, (host, int(port)))
        except OSError:
            its.close()
            raise
        return cls(*await asyncio.open_connection(sock=its))

    @classmethod
    async def greeted(cls, address: str, mine: Hello, taken: int = 0) -> Raw:
        raw = await cls.dial(address, taken)
        theirs = await raw.read()
        assert isinstance(theirs, Hello)
        if mine.role == "client":
            raw.say(mine)
        else:
            raw.say(with_proof(mine, theirs))
            assert isinstance(await raw.read(), Welcome)
        return raw

    def say(self, *messages: Message) -> None:
        self.write(b"".join(map(encode, messages)))

    def write(self, data: bytes) -> None:
        self._writer.write(data)

    def half_close(self) -> None:
        self._writer.write_eof()

    async def read(self) -> Message | None:
        """The next message, or None at the end of the connection."""
        while (message := self._decoder.next()) is None:
            try:
                data = await asyncio.wait_for(self._reader.read(65536), PATIENCE)
            except ConnectionResetError:
                return None
            if not data:
                return None
            self._decoder.receive(data)
        return message

    def close(self) -> None:
        self._writer.close()


CLIENT = Hello("", "dynamesis", role="client")
ADMIN = Hello("", "dynamesis", role="admin")


class NodeAlone:
    """A real node process that is a cluster of one, started by its configuration file."""

    def __init__(self, folder: Path, port: int, admin: int, **config: Any) -> None:
        self.address = f"127.0.0.1:{port}"
        self.admin = f"127.0.0.1:{admin}"
        self.log = folder / "node.log"
        self.errors = folder / "errors"
        self._file = folder / "node.json"
        self._file.write_bytes(
            msgspec.json.encode(
                {
                    "node": "n1",
                    "listen": self.address,
                    "admin": self.admin,
                    "members": ["n1"],
                    "params": {"n": 1, "r": 1, "w": 1},
                    "storage": {"engine": "memory"},
                    "secret": SECRET,
                }
                | config
            )
        )
        self.process: subprocess.Popen[bytes] | None = None

    def start(
        self, core: str | None = None, env: Mapping[str, str] | None = None
    ) -> subprocess.Popen[bytes]:
        """Start it, with one of the cores of tests/cluster/cores.py instead of the real one
        if `core` names it. `env`: more of its variables."""
        own = {"PYTHONPATH": str(_ROOT), PARENT: str(os.getpid())}
        variables = os.environ | own | dict(env or {})
        program = ["-m", "dynamesis.cluster"] if core is None else [_CORES, core]
        with self.errors.open("ab") as errors:
            self.process = subprocess.Popen(
                [sys.executable, *program, "--config", str(self._file)],
                stdin=subprocess.PIPE,
                stdout=errors,
                stderr=errors,
                cwd=_ROOT,
                env=variables,
            )
        return self.process

    async def ready(self) -> NodeAlone:
        deadline = time.monotonic() + PATIENCE
        while True:
            with contextlib.suppress(DynamoError):
                if (await self.ask("status"))["ready"]:
                    return self
            assert self.process is not None
            assert self.process.poll() is None, self.errors.read_text()
            assert time.monotonic() < deadline, "not ready"
            await asyncio.sleep(0.03)

    async def ask(self, command: str, **args: Any) -> Any:
        async with AdminClient(self.admin, timeout=30.0, secret=SECRET) as admin:
            return await admin.ask(command, **args)

    def events(self, name: str) -> list[dict[str, Any]]:
        """The events of that name in the log so far."""
        if not self.log.exists():
            return []
        lines = self.log.read_bytes().split(b"\n")[:-1]
        return [event for line in lines if (event := msgspec.json.decode(line))["event"] == name]

    def end(self) -> None:
        if self.process is not None:
            self.process.send_signal(signal.SIGCONT)
            self.process.kill()
            self.process.wait()
            assert self.process.stdin is not None
            self.process.stdin.close()


@contextlib.contextmanager
def ended(node: NodeAlone) -> Iterator[NodeAlone]:
    try:
        yield node
    finally:
        node.end()


_ROOT = Path(__file__).parent.parent.parent
_CORES = str(Path(__file__).parent / "cores.py")


@asynccontextmanager
async def listening(
    deliver: Callable[[Inbound, Iterable[Message]], None],
    emit: Callable[..., None] = lambda event, **fields: None,
    secret: str = "",
) -> AsyncIterator[tuple[Listener, str]]:
    """A data port of n1 that knows node n2, without a node behind it, and its address."""
    port = Listener(
        Hello("n1", "dynamesis"),
        ("n2",),
        DATA,
        NODE_LIMIT,
        count(1),
        deliver,
        emit,
        secret,
        gone=lambda channel: None,
        greeted=lambda peer: None,
    )
    with reserve(1) as ports:
        address = f"127.0.0.1:{ports.take()}"
        await port.bind(address)
        await port.serve()
        try:
            yield port, address
        finally:
            port.stop()
            port.close()
