"""A store whose nodes pass everything on to the first, which also keeps the list of the members.

club_server.py NAME PORT FIRST       FIRST: host:port of the first node, - for that node itself
"""

import http.client
import json
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

NAME, PORT, FIRST = sys.argv[1], int(sys.argv[2]), sys.argv[3]
MEMBERS: list[str] = []
VALUES: dict[str, Any] = {}


def answer(asked: dict[str, Any]) -> Any:
    if asked["f"] == "clock":
        return time.time()
    if FIRST != "-":
        connection = http.client.HTTPConnection(FIRST, timeout=2.0)
        connection.request("POST", "/", json.dumps({"from": NAME, **asked}))
        return json.loads(connection.getresponse().read())
    if asked["f"] == "join":
        MEMBERS.append(asked["node"]) if asked["node"] not in MEMBERS else None
    elif asked["f"] == "leave":
        MEMBERS.remove(asked["node"])
    elif asked["f"] == "members":
        return MEMBERS
    elif asked.get("from", NAME) not in MEMBERS:
        raise PermissionError
    elif asked["f"] == "write":
        VALUES[asked["key"]] = asked["value"]
    return VALUES.get(asked.get("key", ""))


class ClubNode(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        try:
            text = json.dumps(answer(asked))
        except (OSError, ValueError):
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())


ThreadingHTTPServer(("127.0.0.1", PORT), ClubNode).serve_forever()
