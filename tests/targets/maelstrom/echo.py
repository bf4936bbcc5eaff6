"""echo; --wrong: one answer in seven is another one's."""

import sys

from node import Body, Node

node, last = Node(), [0, None]


def echo(body: Body, src: str) -> Body:
    with node.lock:
        last[0] += 1
        wrong = "--wrong" in sys.argv and last[0] % 7 == 0
        shown = last[1] if wrong else body["echo"]
        last[1] = body["echo"]
        return {"type": "echo_ok", "echo": shown}


node.on["echo"] = echo
node.run()
