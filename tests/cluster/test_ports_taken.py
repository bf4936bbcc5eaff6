"""A port that cannot be had ends the start of a node, whenever that shows."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from itertools import count
from pathlib import Path

import pytest
from dynamesis.cluster.core.protocol.messages import Hello
from dynamesis.cluster.net.inbound import DATA
from dynamesis.cluster.net.listener import Listener
from dynamesis.cluster.net.ports import taken
from dynamesis.cluster.net.wire import NODE_LIMIT
from dynamesis.cluster.process.interpreter import loop_factory
from dynamesis.harness.processes.ports import reserve
from node_world import NodeAlone, Raw, alive, ended, in_loop, until

LOOPS = (asyncio.SelectorEventLoop, loop_factory() or asyncio.SelectorEventLoop)


def _port() -> Listener:
    def nothing(*args: object, **fields: object) -> None:
        pass

    mine = Hello("n1", "dynamesis")
    return Listener(
        mine, (), DATA, NODE_LIMIT, count(1), nothing, nothing, gone=nothing, greeted=nothing
    )


@pytest.mark.parametrize("loop", LOOPS)
def test_of_two_that_have_bound_one_address_only_one_serves(
    loop: Callable[[], asyncio.AbstractEventLoop],
) -> None:
    """So it is with two processes that are started together: until one of them listens, both can
    bind it."""

    async def both() -> None:
        with reserve(1) as ports:
            address = f"127.0.0.1:{ports.take()}"
            first, second = _port(), _port()
            await first.bind(address)
            await second.bind(address)
            await second.serve()
            with pytest.raises(OSError, match=f"cannot listen on {address}: Address already in"):
                await taken(first.serve(), address)
            raw = await Raw.dial(address)
            assert isinstance(await raw.read(), Hello)
            raw.close()
            for port in (first, second):
                port.stop()
                port.close()

    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(both())


@in_loop
async def test_of_two_processes_with_one_address_only_one_lives(tmp_path: Path) -> None:
    with reserve(3) as ports:
        shared = ports.take()
        both = []
        for name in ("a", "b"):
            (tmp_path / name).mkdir()
            both.append(NodeAlone(tmp_path / name, shared, ports.take()))
        with ended(both[0]), ended(both[1]):
            processes = [node.start() for node in both]
            await until(lambda: not all(alive(p.pid) for p in processes), "one has given up")
            (gone,) = (i for i, process in enumerate(processes) if process.poll() is not None)
            assert processes[gone].returncode == 4
            (line,) = both[gone].errors.read_text().splitlines()
            assert f"cannot listen on {both[0].address}: " in line
            await both[1 - gone].ready()
