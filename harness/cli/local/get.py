"""`dynamesis get`: read a key of the cluster that is up."""

from __future__ import annotations

import os
from typing import Annotated

from dynamesis.harness.usage.flags import STORE, Json, Node, Store
from typer import Argument


def run(
    key: Annotated[str, Argument(help="The key.")],
    node: Node = None,
    store: Store = STORE,
    json: Json = False,
) -> None:
    """Print every sibling of a key, and its context.

    The context goes with the put that replaces the siblings.
    """
    from dynamesis.harness.local_cluster.local_cluster import act, token
    from dynamesis.harness.usage.output import print_json, print_text

    found = act(store, node, lambda client: client.get(os.fsencode(key)))
    if json:
        siblings = [{"value": each.value, "deleted": each.deleted} for each in found.siblings]
        print_json({"siblings": siblings, "context": token(found.context)})
        return
    for sibling in found.siblings:
        print_text("(deleted)" if sibling.deleted else sibling.value.decode(errors="replace"))
    if not found.siblings:
        print("(nothing)")
    print(f"context: {token(found.context)}")
