"""A replicated key-value store over HTTP: GET /KEY and PUT /KEY of any node, linearizable.

A write asks a majority for the newest version, and stores a newer one on a majority. A read stores
the newest that it finds on a majority before it answers (Attiya, Bar-Noy, Dolev 1995).

store.py PORT DATA HOST:PORT,... [--early]        --early is a bug: a write needs no other replica
"""

import json
import os
import sys
from concurrent.futures import ThreadPoolExecutor, as_completed
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock
from typing import Any

Row = list[Any]  # [version, unique name of the write, value]
PORT, DATA, PEERS = int(sys.argv[1]), Path(sys.argv[2]), sys.argv[3].split(",")
NOTHING: Row = [0, "", ""]
EARLY, LOCK, POOL = "--early" in sys.argv, Lock(), ThreadPoolExecutor(200)


def keep(key: str, row: Row) -> Row:
    """The newer of `row`, which is on the disk then, and what this replica holds of the key."""
    with LOCK:
        held: Row = json.loads((DATA / key).read_text()) if (DATA / key).exists() else NOTHING
        if row > held:
            with (DATA / ".part").open("w") as part:
                part.write(json.dumps(row))
                part.flush()
                os.fsync(part.fileno())
            os.replace(DATA / ".part", DATA / key)
        return max(row, held)


def ask(peer: str, key: str, row: Row) -> Row:
    """The same of another replica."""
    connection = HTTPConnection(peer, timeout=1.0)
    connection.request("POST", f"/{key}", json.dumps(row))
    answer: Row = json.loads(connection.getresponse().read())
    return answer


def majority(key: str, row: Row, early: bool = False) -> Row:
    """The newest row of a majority that all have this one, or a newer. Raises TimeoutError."""
    rows = [keep(key, row)]
    jobs = [POOL.submit(ask, peer, key, row) for peer in PEERS]
    for job in () if early else as_completed(jobs, timeout=1.0):
        rows += [job.result()] if job.exception() is None else []
        if len(rows) > len(PEERS) / 2:
            return max(rows)
    if not early:
        raise TimeoutError
    return rows[0]


class KvNode(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        try:
            newest = majority(self.path[1:], majority(self.path[1:], NOTHING))
            self.answer(200 if newest != NOTHING else 404, newest[2])
        except TimeoutError:
            self.answer(503, "no majority")

    def do_PUT(self) -> None:
        key, value, row = self.path[1:], self.body(), NOTHING
        try:
            row = [majority(key, NOTHING, EARLY)[0] + 1, os.urandom(8).hex(), value]
            majority(key, row, EARLY)
            self.answer(200, "written")
        except TimeoutError:
            self.answer(*((503, "not written") if row == NOTHING else (504, "may be written")))

    def do_POST(self) -> None:  # from another replica
        self.answer(200, json.dumps(keep(self.path[1:], json.loads(self.body()))))

    def body(self) -> str:
        return self.rfile.read(int(self.headers["Content-Length"])).decode()

    def answer(self, code: int, text: str) -> None:
        self.send_response(code)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())


ThreadingHTTPServer(("127.0.0.1", PORT), KvNode).serve_forever()
