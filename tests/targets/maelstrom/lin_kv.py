"""lin-kv, passed on to the service lin-kv; --wrong: to lww-kv; --stale: to seq-kv."""

import sys

from node import Body, Node

node = Node()
SERVICE = {"--wrong": "lww-kv", "--stale": "seq-kv"}.get(sys.argv[-1], "lin-kv")


def pass_on(body: Body, src: str) -> Body:
    request = {name: value for name, value in body.items() if name != "msg_id"}
    answer = node.ask(SERVICE, request)
    return {name: value for name, value in answer.items() if name != "in_reply_to"}


node.on |= dict.fromkeys(("read", "write", "cas"), pass_on)
node.run()
