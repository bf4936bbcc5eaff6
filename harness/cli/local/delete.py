"""`dynamesis delete`: delete a key of the cluster that is up."""

from __future__ import annotations

import os
from typing import Annotated

from dynamesis.checkers.history.counts import counted
from dynamesis.harness.usage.flags import STORE, Context, Node, Store
from typer import Argument


def run(
    key: Annotated[str, Argument(help="The key.")],
    context: Context = None,
    node: Node = None,
    store: Store = STORE,
) -> None:
    """Write a tombstone for a key.

    It replaces what the context covers, and nothing else.
    """
    from dynamesis.harness.local_cluster.local_cluster import act, token
    from dynamesis.harness.local_cluster.local_cluster import context as parsed

    covered = parsed(context)
    done = act(store, node, lambda client: client.delete(os.fsencode(key), context=covered))
    print(f"{counted(done.worth.replicas, 'replica')}, coordinated by {done.worth.coordinator}")
    print(f"context: {token(done.context)}")
