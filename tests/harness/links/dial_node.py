"""A node that dials its peers all the time, by the addresses that it was given.

    python dial_node.py ID HOST PEER_PORT CLIENT_PORT PEER=HOST:PORT...

A connection to its client port gets {"up": {peer: bool}, "received": {peer: requests}}.
"""

from __future__ import annotations

import asyncio
import json
import sys


class Node:
    def __init__(self, name: str, peers: dict[str, str]) -> None:
        self.name = name
        self.peers = peers
        self.up = dict.fromkeys(peers, False)
        self.received = dict.fromkeys(peers, 0)

    async def run(self, host: str, peer_port: int, client_port: int) -> None:
        await asyncio.start_server(self.serve, host, peer_port)
        await asyncio.start_server(self.send, host, client_port)
        await asyncio.gather(*map(self.ask, self.peers))

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            name = (await reader.readline()).decode().strip()
            if name:
                self.received[name] += 1
                writer.write(b"yes\n")
        except OSError:
            pass
        writer.close()

    async def send(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(json.dumps({"up": self.up, "received": self.received}).encode())
        writer.close()

    async def ask(self, peer: str) -> None:
        host, port = self.peers[peer].rsplit(":", 1)
        while True:
            try:
                async with asyncio.timeout(0.5):
                    reader, writer = await asyncio.open_connection(host, int(port))
                    writer.write(f"{self.name}\n".encode())
                    self.up[peer] = await reader.readline() == b"yes\n"
                    await asyncio.sleep(0.1)
                    writer.close()
            except (OSError, TimeoutError):
                self.up[peer] = False
            await asyncio.sleep(0.05)


if __name__ == "__main__":
    node = Node(sys.argv[1], dict(word.split("=") for word in sys.argv[5:]))
    asyncio.run(node.run(sys.argv[2], int(sys.argv[3]), int(sys.argv[4])))
