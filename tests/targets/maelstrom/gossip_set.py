"""broadcast and g-set: every node sends all that it has to all neighbours, again and again.

--wrong: each value is sent once, and whether it arrives is not known. --disk: a value is written to
a file before it is acknowledged, and read from it at the start.
"""

import os
import sys
from pathlib import Path

from node import Body, Node

node = Node()
held: set[int] = set()
neighbours: list[str] = []
WRONG, DISK = "--wrong" in sys.argv, Path("held")


def topology(body: Body, src: str) -> Body:
    neighbours[:] = body["topology"][node.id]
    return {"type": "topology_ok"}


def add(body: Body, src: str) -> Body:
    value = body["element"] if body["type"] == "add" else body["message"]
    take([value])
    return {"type": f"{body['type']}_ok"}


def take(values: list[int]) -> None:
    with node.lock:
        new = [value for value in values if value not in held]
        held.update(new)
        if "--disk" in sys.argv and new:
            with DISK.open("a") as file:
                file.write("".join(f"{value}\n" for value in new))
                file.flush()
                os.fsync(file.fileno())
    if WRONG and new:
        pass_on(new)


def pass_on(values: list[int]) -> None:
    for other in neighbours or node.others():
        node.send(other, {"type": "gossip", "values": values})


def gossip(body: Body, src: str) -> None:
    take(body["values"])


def read(body: Body, src: str) -> Body:
    with node.lock:
        shown = sorted(held)
    return {"type": "read_ok", "value": shown, "messages": shown}


node.on |= {"topology": topology, "add": add, "broadcast": add, "gossip": gossip, "read": read}
if DISK.exists():
    held.update(map(int, DISK.read_text().split()))
if not WRONG:
    node.every(0.2, lambda: pass_on(sorted(held)))
node.run()
