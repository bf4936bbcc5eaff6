"""A replicated set over HTTP, for tests: what is added is sent on to each peer, one after the
other, over one connection, until it has arrived. Every answer names where the node listens. With
"learns" a peer that is lost is dialled there from then on, as stores do that pass addresses on;
with "keeps" at the address that was given.

learning_server.py PORT keeps|learns PEER_HOST:PORT...
"""

from __future__ import annotations

import http.client
import json
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from queue import SimpleQueue

PORT, HOW, PEERS = int(sys.argv[1]), sys.argv[2], sys.argv[3:]
held: dict[str, set[int]] = {}
lock = threading.Lock()
outboxes: list[SimpleQueue[bytes]] = []


def send_to(given: str, outbox: SimpleQueue[bytes]) -> None:
    listens, connection = given, http.client.HTTPConnection(given, timeout=1.0)
    while True:
        body = outbox.get()
        while True:
            try:
                connection.request("POST", "/from-peer", body)
                listens = json.loads(connection.getresponse().read())["listens"]
                break
            except (OSError, http.client.HTTPException, ValueError):
                connection.close()
                time.sleep(0.1)
                address = listens if HOW == "learns" else given
                connection = http.client.HTTPConnection(address, timeout=1.0)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        key, value = json.loads(body)
        with lock:
            held.setdefault(key, set()).add(value)
        for outbox in outboxes if self.path == "/from-client" else ():
            outbox.put(body)
        self.answer({"listens": f"127.0.0.1:{PORT}"})

    def do_GET(self) -> None:
        with lock:
            self.answer({key: sorted(values) for key, values in held.items()})

    def answer(self, content: object) -> None:
        body = json.dumps(content).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing."""


for peer in PEERS:
    outboxes.append(SimpleQueue())
    threading.Thread(target=send_to, args=(peer, outboxes[-1]), daemon=True).start()
ThreadingHTTPServer(("127.0.0.1", PORT), Handler).serve_forever()
