"""Leads what an etcd node dials to the proxies of its pairs, so that each can be cut alone.

etcd advertises one URL a node, the same to all peers, and its connections carry both directions:
one proxy in front of a node cuts nothing, since what is not taken from a stream is posted the
other way. But Go's HTTP client asks a forward proxy wherever $HTTP_PROXY names one and the
address is not of this machine. So nodes advertise addresses of 192.0.2.0/24 (RFC 5737, never
routed), and each has a forward proxy of its own, which knows the pair by its client and by the
address asked for.

This module runs alone, by path: `python -I -S forward.py TABLE COMMAND...` becomes the command,
with the forward proxy beside it as a child that ends with it. TABLE is a JSON object: address that
is asked for -> host:port to dial.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import socket
import sys
from collections.abc import Mapping
from contextlib import suppress
from threading import Thread

_PR_SET_PDEATHSIG = 1
#: bytes of the head of a request, and of a piece that is passed on
_HEAD, _PIECE = 1 << 16, 1 << 16
_BLANK = b"\r\n\r\n"


def main() -> None:
    """Fork the forward proxy and become the command."""
    table: dict[str, str] = json.loads(sys.argv[1])
    command = sys.argv[2:]
    listener = socket.create_server(("127.0.0.1", 0), backlog=64)
    parent = os.getpid()
    if os.fork() == 0:
        # a graceful stop of the node still talks to its peers
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        with suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() == parent:
            serve(listener, table)
        os._exit(0)
    port = listener.getsockname()[1]
    listener.close()
    proxy = f"http://127.0.0.1:{port}"
    try:
        os.execve(command[0], command, {**os.environ, "HTTP_PROXY": proxy, "http_proxy": proxy})
    except OSError as error:
        sys.exit(f"{command[0]}: {error.strerror}")


def serve(listener: socket.socket, table: Mapping[str, str]) -> None:
    """Pass on every connection, each in threads of its own, for ever."""
    while True:
        asking, _ = listener.accept()
        Thread(target=_pass_on, args=(asking, table), daemon=True).start()


def _pass_on(asking: socket.socket, table: Mapping[str, str]) -> None:
    with asking, suppress(OSError, ValueError):
        wanted, request = rewritten(_read_head(asking))
        host, _, port = table[wanted].rpartition(":") if wanted in table else ("", "", "0")
        if not host:
            asking.sendall(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
            return
        with socket.create_connection((host, int(port))) as answering:
            answering.sendall(request)
            back = Thread(target=_pump, args=(answering, asking), daemon=True)
            back.start()
            _pump(asking, answering)
            back.join()


def _read_head(asking: socket.socket) -> bytes:
    """All that has come, once the head of a request is whole."""
    received = b""
    while _BLANK not in received:
        piece = asking.recv(_PIECE)
        if not piece or len(received) > _HEAD:
            raise ValueError("no request")
        received += piece
    return received


def rewritten(received: bytes) -> tuple[str, bytes]:
    """The host:port that a request to a proxy is for, and the request as its server takes it. The
    connection serves no other request: the next may be for another peer. Raises ValueError."""
    line, _, rest = received.partition(b"\r\n")
    method, url, version = line.split(b" ")
    scheme, _, place = url.partition(b"://")
    if scheme != b"http":
        raise ValueError(f"not a request to a proxy: {line!r}")
    wanted, slash, path = place.partition(b"/")
    own = b" ".join((method, slash + path or b"/", version))
    return wanted.decode("ascii"), own + b"\r\nConnection: close\r\n" + rest


def _pump(source: socket.socket, dest: socket.socket) -> None:
    """Copy until either end is closed; then close both: HTTP has no use for half a connection."""
    with suppress(OSError):
        while piece := source.recv(_PIECE):
            dest.sendall(piece)
    for each in (source, dest):
        with suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)


if __name__ == "__main__":
    main()
