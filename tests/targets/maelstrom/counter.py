"""g-counter and pn-counter: a sum for each node, of which every node keeps the newest.

--wrong: what was added is sent once and added again wherever it arrives, so that a message that is
lost or doubled makes the sum wrong.
"""

import sys

from node import Body, Node

node = Node()
#: node -> [additions so far, their sum]
sums: dict[str, list[int]] = {}
WRONG = "--wrong" in sys.argv


def add(body: Body, src: str) -> Body:
    put(body["delta"])
    if WRONG:
        for other in node.others():
            node.send(other, {"type": "also", "delta": body["delta"]})
    return {"type": "add_ok"}


def put(delta: int) -> None:
    with node.lock:
        count, total = sums.get(node.id, [0, 0])
        sums[node.id] = [count + 1, total + delta]


def gossip(body: Body, src: str) -> None:
    with node.lock:
        for name, pair in body["sums"].items():
            sums[name] = max(sums.get(name, [0, 0]), pair)


def read(body: Body, src: str) -> Body:
    with node.lock:
        return {"type": "read_ok", "value": sum(total for _, total in sums.values())}


def pass_on() -> None:
    for other in node.others():
        node.send(other, {"type": "gossip", "sums": dict(sums)})


node.on |= {"add": add, "gossip": gossip, "read": read, "also": lambda b, s: put(b["delta"])}
if not WRONG:
    node.every(0.2, pass_on)
node.run()
