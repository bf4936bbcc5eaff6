"""The process in a node's network namespace that carries connections in from outside.

    python -m dynamesis.harness.links.dialling.door FD=HOST:PORT...

A socket belongs to the namespace in which it was made: the listening sockets, inherited, are of
the machine; what this process dials is in the namespace. It ends when its standard input does.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import sys

#: bytes read at a time
_PIECE = 1 << 16


async def main(words: list[str]) -> None:
    for word in words:
        descriptor, _, address = word.partition("=")
        host, _, port = address.rpartition(":")
        await _open(int(descriptor), host, int(port))
    loop = asyncio.get_running_loop()
    ended = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(ended), sys.stdin)
    await ended.read()


async def _open(descriptor: int, host: str, port: int) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            answers, questions = await asyncio.open_connection(host, port)
        except OSError:
            writer.transport.abort()
            return
        try:
            await asyncio.gather(_carry(reader, questions), _carry(answers, writer))
        except OSError:
            pass
        finally:
            writer.transport.abort()
            questions.transport.abort()

    await asyncio.start_server(serve, sock=socket.socket(fileno=descriptor), backlog=1024)


async def _carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while piece := await reader.read(_PIECE):
        writer.write(piece)
        await writer.drain()
    with contextlib.suppress(OSError):
        writer.write_eof()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
