"""The process behind embedded links: all routes of a test, in one asyncio program.

It reads commands on its standard input, one JSON object a line, and answers each on
its standard output; when its input ends, so does it. A route that gets a fault, or loses
one, loses its connections too, as it does with Toxiproxy; only a stall lets connections
live when it begins and when it ends, which is the point of it: neither side notices.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
import socket
import struct
import sys
from collections.abc import Mapping
from random import Random
from typing import Any

from dynamesis.harness.links.base import LinkRoute
from dynamesis.harness.links.faults import LinkFault, RefusedLink, Stall, make_fault
from dynamesis.harness.links.shapes import Broken, Counts, CutShort, Direction, shape
from dynamesis.harness.processes.lifeline import follow_parent

_ABORT = struct.pack("ii", 1, 0)


class EmbeddedProxy:
    """One route: a listener, its connections, and the fault that it has now."""

    def __init__(self, route: LinkRoute) -> None:
        self.counts = Counts()
        self._route = route
        self._fault: LinkFault | None = None
        self._server: asyncio.Server | None = None
        self._connections: dict[asyncio.Task[None], list[Direction]] = {}

    async def set(self, fault: LinkFault | None) -> None:
        """Have this fault from now on. Raises OSError if the port is taken."""
        former, self._fault = self._fault, fault
        if isinstance(fault, RefusedLink):
            self._close_listener()
            self.counts.bitten += len(self._connections)
        if fault is None and isinstance(former, Stall):
            self._release()
        elif former is None and isinstance(fault, Stall):
            self._hold(fault)
        else:
            await self._drop_all()
        if self._server is None and not isinstance(fault, RefusedLink):
            host, port = self._route.listen.split(":")
            self._server = await asyncio.start_server(
                self._accept, host, int(port), backlog=1024, limit=1 << 20
            )

    def _close_listener(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None

    def _hold(self, stall: Stall) -> None:
        for directions in self._connections.values():
            for name, direction in zip(("upstream", "downstream"), directions, strict=False):
                if _in_direction(stall, name) is not None:
                    direction.open.clear()

    def _release(self) -> None:
        for directions in self._connections.values():
            for direction in directions:
                direction.released.set()
                direction.open.set()

    async def _drop_all(self) -> None:
        for task in list(self._connections):
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections[task] = []
        self.counts.connections += 1
        try:
            if not isinstance(self._fault, RefusedLink):
                await self._connect(reader, writer, self._connections[task])
        except (asyncio.CancelledError, OSError):
            pass
        finally:
            writer.transport.abort()
            del self._connections[task]

    async def _connect(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        directions: list[Direction],
    ) -> None:
        fault = self._fault
        host, port = self._route.upstream.split(":")
        answers, questions = await asyncio.open_connection(host, int(port), limit=1 << 20)
        seed = f"{getattr(fault, 'seed', 0)} {self._route.name} {self.counts.connections}"
        up = Direction(reader, questions, self.counts, Random(f"{seed} up"))
        down = Direction(answers, writer, self.counts, Random(f"{seed} down"))
        directions += [up, down]
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(_carry(up, _in_direction(fault, "upstream")))
                tasks.create_task(_carry(down, _in_direction(fault, "downstream")))
        except* Broken:
            _reset(questions)
            _reset(writer)
        except* OSError:
            _reset(questions)
            _reset(writer)
        except* CutShort:
            await _finish(questions, writer)
        else:
            await _finish(questions, writer)
        finally:
            questions.transport.abort()


def _in_direction(fault: LinkFault | None, direction: str) -> LinkFault | None:
    return fault if getattr(fault, "direction", "both") in (direction, "both") else None


async def _carry(way: Direction, fault: LinkFault | None) -> None:
    await shape(fault)(way)
    way.writer.write_eof()


async def _finish(*writers: asyncio.StreamWriter) -> None:
    """Close after what was written has been sent."""
    for writer in writers:
        writer.close()
    for writer in writers:
        with contextlib.suppress(OSError):
            await writer.wait_closed()


def _reset(writer: asyncio.StreamWriter) -> None:
    plug: socket.socket | None = writer.get_extra_info("socket")
    if plug is not None:
        with contextlib.suppress(OSError):
            plug.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _ABORT)
    writer.transport.abort()


class Program:
    """All routes of a test."""

    def __init__(self) -> None:
        self._proxies: dict[str, EmbeddedProxy] = {}

    async def obey(self, order: Mapping[str, Any]) -> dict[str, object]:
        """Carry out one order; what is answered."""
        match order:
            case {"routes": routes}:
                for fields in routes:
                    route = LinkRoute(**fields)
                    self._proxies[route.name] = EmbeddedProxy(route)
                    await self._proxies[route.name].set(None)
                return {}
            case {"set": changes}:
                for name, fault in changes.items():
                    await self._proxies[name].set(make_fault(**fault) if fault else None)
                return {}
            case {"count": _}:
                return {
                    name: dataclasses.asdict(proxy.counts) for name, proxy in self._proxies.items()
                }
        raise ValueError(f"not an order: {order}")


async def main() -> None:
    loop = asyncio.get_running_loop()
    orders = asyncio.StreamReader(limit=1 << 24)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(orders), sys.stdin)
    program = Program()
    while line := await orders.readline():
        try:
            answer: dict[str, object] = {"ok": await program.obey(json.loads(line))}
        except (OSError, ValueError) as error:
            answer = {"error": str(error)}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    follow_parent()
    try:
        import uvloop
    except ImportError:
        asyncio.run(main())
    else:
        uvloop.run(main())
