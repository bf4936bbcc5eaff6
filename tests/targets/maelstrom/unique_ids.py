"""unique-ids: random ones; --wrong: each node counts for itself."""

import itertools
import sys
import uuid

from node import Body, Node

node, numbers = Node(), itertools.count()


def generate(body: Body, src: str) -> Body:
    new = next(numbers) if "--wrong" in sys.argv else str(uuid.uuid4())
    return {"type": "generate_ok", "id": new}


node.on["generate"] = generate
node.run()
