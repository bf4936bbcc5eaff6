"""A connection that a process has dialled is seen for as long as it holds it, whichever end has
closed first."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from collections.abc import Callable

import pytest
from dynamesis.harness.links.dialling.sockets import DialWatch

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="Linux's table")


def peer_closes(ours: socket.socket, theirs: socket.socket) -> None:
    theirs.close()
    assert ours.recv(1) == b""  # what it sent has come: CLOSE_WAIT


def we_send_no_more(ours: socket.socket, theirs: socket.socket) -> None:
    ours.shutdown(socket.SHUT_WR)
    assert theirs.recv(1) == b""  # FIN_WAIT2


def neither_closes(ours: socket.socket, theirs: socket.socket) -> None:
    """ESTABLISHED."""


@pytest.mark.parametrize("change", [neither_closes, peer_closes, we_send_no_more])
def test_what_is_held_is_seen(change: Callable[[socket.socket, socket.socket], None]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)) as ours:
            theirs, _ = server.accept()
            with theirs:
                change(ours, theirs)
                assert asyncio.run(seen(port)) == {"n1-n2": 1}
    assert asyncio.run(seen(port)) == {}  # and not when it is let go, while the kernel keeps it


async def seen(port: int) -> dict[str, int]:
    watch = DialWatch({"n1": {f"127.0.0.1:{port}": ("n2", False)}})
    watch.launched("n1", os.getpid())
    await watch.look()
    return dict(watch.past)
