"""A grow-only set for Maelstrom's protocol: every node sends all that it has to all others, again
and again. Try it, and leave out the gossip to see what is found:

    dynamesis test --target maelstrom --workload g-set --bin "python3 maelstrom_g_set.py"
"""

from __future__ import annotations

import json
import sys
import threading
import time
from typing import Any

#: s between two rounds of gossip
PAUSE = 0.2

held: set[int] = set()
name, names = "", list[str]()
lock = threading.Lock()


def send(dest: str, **body: Any) -> None:
    """Print a message."""
    with lock:
        print(json.dumps({"src": name, "dest": dest, "body": body}), flush=True)


def gossip() -> None:
    """Send all elements to all others, for ever."""
    while True:
        time.sleep(PAUSE)
        for other in names:
            if other != name:
                send(other, type="gossip", elements=sorted(held))


def main() -> None:
    """Answer one message after the other."""
    global name, names
    threading.Thread(target=gossip, daemon=True).start()
    for line in sys.stdin:
        message = json.loads(line)
        body, src = message["body"], message["src"]
        number = body.get("msg_id")
        match body["type"]:
            case "init":
                name, names = body["node_id"], body["node_ids"]
                send(src, type="init_ok", in_reply_to=number)
            case "add":
                held.add(body["element"])
                send(src, type="add_ok", in_reply_to=number)
            case "gossip":
                held.update(body["elements"])
            case "read":
                send(src, type="read_ok", in_reply_to=number, value=sorted(held))


if __name__ == "__main__":
    main()
