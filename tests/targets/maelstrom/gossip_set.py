"""broadcast and g-set: everybody sends all that it has to all neighbours, again and again.

--wrong: each value is sent once, and whether it arrives is not known.
"""

import sys

from node import Body, Node

node = Node()
held: set[int] = set()
neighbours: list[str] = []
WRONG = "--wrong" in sys.argv


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
if not WRONG:
    node.every(0.2, lambda: pass_on(sorted(held)))
node.run()
