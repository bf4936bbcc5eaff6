"""txn-list-append and txn-rw-register: all keys are one value of lin-kv, exchanged as a whole.

--wrong: the new state is written whatever the state is by then, so that updates are lost.
"""

import sys

from node import Body, Node, Refused

node = Node()
ROOT = "root"


def txn(body: Body, src: str) -> Body:
    try:
        before = node.ask("lin-kv", {"type": "read", "key": ROOT})["value"]
    except Refused:
        before = {}
    after, done = dict(before), []
    for f, key, value in body["txn"]:
        name = str(key)
        if f == "append":
            after[name] = [*after.get(name, []), value]
        elif f == "w":
            after[name] = value
        done.append([f, key, after.get(name) if f == "r" else value])
    if "--wrong" in sys.argv:
        node.ask("lin-kv", {"type": "write", "key": ROOT, "value": after})
    elif after != before:
        swap(before, after)
    return {"type": "txn_ok", "txn": done}


def swap(before: Body, after: Body) -> None:
    request = {"type": "cas", "key": ROOT, "from": before, "to": after}
    try:
        node.ask("lin-kv", {**request, "create_if_not_exists": True})
    except Refused as refused:
        raise Refused(30, "another transaction came first") from refused


node.on["txn"] = txn
node.run()
