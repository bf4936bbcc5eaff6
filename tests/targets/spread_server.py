"""A replicated set over HTTP, for tests: an element is added where it arrives, and sent on. With
"once" each element is sent once, and a node that is cut off meanwhile never has it; else until it
has arrived."""

from __future__ import annotations

import json
import sys
import threading
import time
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PORT, HOW, PEERS = int(sys.argv[1]), sys.argv[2], sys.argv[3:]
held: dict[str, list[int]] = {}
lock = threading.Lock()


def add(key: str, value: int) -> None:
    with lock:
        if value not in held.setdefault(key, []):
            held[key].append(value)


def send(peer: str, key: str, value: int) -> None:
    body = json.dumps([key, value]).encode()
    while True:
        try:
            urllib.request.urlopen(f"http://{peer}/from-peer", body, timeout=1.0).close()
            return
        except OSError:
            if HOW == "once":
                return
            time.sleep(0.1)


class Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        key, value = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        add(key, value)
        for peer in PEERS if self.path == "/from-client" else ():
            threading.Thread(target=send, args=(peer, key, value), daemon=True).start()
        self.answer(None)

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


ThreadingHTTPServer(("127.0.0.1", PORT), Handler).serve_forever()
