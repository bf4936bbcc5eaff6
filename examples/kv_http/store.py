"""A replicated key-value store over HTTP: GET /KEY and PUT /KEY of any node, linearizable.

Every node is a replica of all keys (the ABD algorithm: Attiya, Bar-Noy, Dolev 1995). A write asks
a majority for the newest version and stores a newer one on a majority. A read asks a majority, and
unless all of it agrees stores the newest on one before it answers.

store.py PORT DATA HOST:PORT,... [--early]        --early is a bug: a write needs no other replica
"""

import http.client
import json
import os
import sys
import uuid
from concurrent.futures import ThreadPoolExecutor, as_completed
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock
from typing import Any

Row = list[Any]  # [version, unique name of the write, value]
PORT, DATA, PEERS = int(sys.argv[1]), Path(sys.argv[2]), sys.argv[3].split(",")
EARLY, LOCK, POOL = "--early" in sys.argv, Lock(), ThreadPoolExecutor(200)


def keep(key: str, row: Row | None = None) -> Row:
    """What this replica holds of a key; `row`, if that is newer, which is on the disk first."""
    with LOCK:
        file, part = DATA / key, DATA / ".part"
        held: Row = json.loads(file.read_text()) if file.exists() else [0, "", None]
        if row is None or row <= held:
            return held
        with part.open("w") as content:
            content.write(json.dumps(row))
            content.flush()
            os.fsync(content.fileno())
        os.replace(part, file)
        return row


def ask(peer: str, key: str, row: Row | None) -> Row:
    """The same of another replica."""
    connection = http.client.HTTPConnection(peer, timeout=1.0)
    try:
        connection.request("POST", f"/{key}", json.dumps(row))
        answer: Row = json.loads(connection.getresponse().read())
        return answer
    finally:
        connection.close()


def majority(key: str, row: Row | None = None, early: bool = False) -> list[Row]:
    """The same of a majority of replicas. Raises TimeoutError where not enough answer."""
    rows = [keep(key, row)]
    jobs = [POOL.submit(ask, peer, key, row) for peer in PEERS]
    for job in () if early else as_completed(jobs, timeout=1.0):
        if job.exception() is None:
            rows.append(job.result())
        if len(rows) > (len(PEERS) + 1) // 2:
            return rows
    if not early:
        raise TimeoutError
    return rows


class KvNode(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        key = self.path[1:]
        try:
            rows = majority(key)
            if min(rows) != max(rows):
                majority(key, max(rows))
            self.answer(200 if max(rows)[2] else 404, max(rows)[2] or "")
        except TimeoutError:
            self.answer(503, "no majority")

    def do_PUT(self) -> None:
        key, value, begun = self.path[1:], self.body(), False
        try:
            version = max(majority(key, early=EARLY))[0] + 1
            begun = True
            majority(key, [version, uuid.uuid4().hex, value], EARLY)
            self.answer(200, "written")
        except TimeoutError:
            self.answer(504 if begun else 503, "may be written" if begun else "not written")

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
