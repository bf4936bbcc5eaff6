"""A key-value store of one file, for tests: HTTP by the standard library, three processes, no
consensus. Node n1 is the primary: others pass on to it whatever they are asked, so that it is
linearizable as long as n1 keeps its log. Each write is synced to a file before it is acknowledged.

kv_server.py NAME PORT DATA PRIMARY_HOST:PORT|- [--crash TEXT]
"""

from __future__ import annotations

import http.client
import json
import os
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock
from typing import Any

NAME, PORT, DATA, PRIMARY = sys.argv[1:5]
LOG, LOCK = Path(DATA) / "log", Lock()
HELD: dict[str, Any] = {}


def apply(request: dict[str, Any]) -> dict[str, Any]:
    """What a primary does."""
    key, f, value = request["key"], request["f"], request["value"]
    with LOCK:
        if f == "cas":
            old, value = value
            if HELD.get(key) != old:
                return {"value": HELD.get(key), "error": "other value"}
        if f in ("write", "cas"):
            with LOG.open("a") as log:
                log.write(json.dumps([key, value]) + "\n")
                log.flush()
                os.fsync(log.fileno())
            HELD[key] = value
        return {"value": HELD.get(key)}


def pass_on(request: dict[str, Any]) -> dict[str, Any]:
    connection = http.client.HTTPConnection(PRIMARY, timeout=1.0)
    connection.request("POST", "/", json.dumps(request))
    return json.loads(connection.getresponse().read())


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.answer(200, {"name": NAME})

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        try:
            self.answer(200, apply(request) if PRIMARY == "-" else pass_on(request))
        except ConnectionRefusedError:
            self.answer(503, {"error": "no primary"})
        except (OSError, http.client.HTTPException, ValueError) as error:
            self.answer(500, {"error": repr(error)})

    def answer(self, code: int, content: dict[str, Any]) -> None:
        body = json.dumps(content).encode()
        self.send_response(code)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Silent: the log is for what goes wrong."""


if "--crash" in sys.argv:
    sys.exit(sys.argv[-1])
if LOG.exists():
    for line in LOG.read_text().splitlines():
        key, value = json.loads(line)
        HELD[key] = value
print(f"{NAME} serves on {PORT}", flush=True)
ThreadingHTTPServer(("127.0.0.1", int(PORT)), Handler).serve_forever()
