"""A dial that times out in the tick in which HELLO came: the loop has closed the socket,
and what was to be sent on it must not be written."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from typing import Any

import pytest
from dynamesis.cluster.core.protocol.messages import Hello
from dynamesis.cluster.net.stream import DialFailed, Dialled, dial
from dynamesis.cluster.net.wire import encode
from dynamesis.harness.processes.ports import reserve

uvloop = pytest.importorskip("uvloop")


async def _dial_on_a_busy_loop(port: int, steps: int) -> None:
    stream = Dialled(Hello("y", "dynamesis"), 1 << 20, 1 << 20)
    dialling = asyncio.ensure_future(dial(f"127.0.0.1:{port}", stream, 0.02))
    for _ in range(steps):
        await asyncio.sleep(0)
    busy_until = time.monotonic() + 0.04  # for longer than the time-out
    while time.monotonic() < busy_until:
        pass
    with contextlib.suppress(DialFailed):
        await dialling
    await asyncio.sleep(0)


def test_a_dial_that_is_given_up_writes_nothing() -> None:
    unhandled: list[str] = []

    async def accept(reader: Any, writer: asyncio.StreamWriter) -> None:
        writer.write(encode(Hello("x", "dynamesis")))

    def serve(port: int, up: threading.Event) -> None:
        async def main() -> None:
            server = await asyncio.start_server(accept, "127.0.0.1", port)
            up.set()
            async with server:
                await asyncio.sleep(100)

        asyncio.run(main())

    async def main(port: int) -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, c: unhandled.append(repr(c.get("exception"))))
        for steps in (0, 1, 2, 3, 4) * 4:
            await _dial_on_a_busy_loop(port, steps)
        await asyncio.sleep(0.05)

    with reserve(1) as ports:
        port, up = ports.take(), threading.Event()
        threading.Thread(target=serve, args=(port, up), daemon=True).start()
        assert up.wait(60)
        uvloop.run(main(port))
    assert unhandled == []
