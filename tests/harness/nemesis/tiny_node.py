"""A node as small as can be, for tests of nemeses: it asks its peers all the time, counts
what goes wrong, and reports that on its admin port.

    python tiny_node.py ID PORT ADMIN_PORT DATA_FOLDER PEER=HOST:PORT...
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

PINGS = 5


def frame(content: bytes) -> bytes:
    return len(content).to_bytes(4, "big") + content


async def read_frame(reader: asyncio.StreamReader) -> bytes:
    return await reader.readexactly(int.from_bytes(await reader.readexactly(4), "big"))


HELLO = b"HELLO" * 8


class Node:
    def __init__(self, data: Path, peers: dict[str, str]) -> None:
        self.data = data
        self.addresses = peers
        self.peers = {
            peer: {"up": False, "suspected": False, "failures": 0, "timeouts": 0} for peer in peers
        }

    async def run(self, port: int, admin: int) -> None:
        await asyncio.start_server(self._serve, "127.0.0.1", port)
        await asyncio.start_server(self._send, "127.0.0.1", admin)
        (self.data / "stored").write_text("something")
        await asyncio.gather(*map(self._ask_for_ever, self.peers))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            writer.write(frame(HELLO))
            while True:
                writer.write(frame(await read_frame(reader)))
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def _send(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        hints = int((self.data / "hints").read_text()) if (self.data / "hints").exists() else 0
        writer.write(json.dumps({"peers": self.peers, "hints": hints}).encode())
        writer.close()

    async def _ask_for_ever(self, peer: str) -> None:
        while True:
            known = self.peers[peer]
            try:
                async with asyncio.timeout(0.25):
                    await self._ask(self.addresses[peer])
                known["up"] = True
            except TimeoutError:
                known["timeouts"] += 1
                known["up"] = False
            except (OSError, asyncio.IncompleteReadError):
                known["failures"] += 1
                known["up"] = False
            await asyncio.sleep(0.1)

    async def _ask(self, address: str) -> None:
        host, port = address.split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        try:
            for number in range(PINGS):
                writer.write(frame(b"ping %d" % number))
            for expected in (HELLO, *(b"ping %d" % number for number in range(PINGS))):
                if await read_frame(reader) != expected:
                    raise ConnectionResetError
        finally:
            writer.transport.abort()


if __name__ == "__main__":
    folder = Path(sys.argv[4])
    folder.mkdir(exist_ok=True)
    node = Node(folder, dict(argument.split("=") for argument in sys.argv[5:]))
    asyncio.run(node.run(int(sys.argv[2]), int(sys.argv[3])))
