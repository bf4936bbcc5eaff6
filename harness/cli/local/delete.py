"""`dynamesis delete`: delete a key of the cluster that is up."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

from typer import Argument, Option


def run(
    key: Annotated[str, Argument(help="The key.")],
    context: Annotated[str | None, Option(help="Context, as get or put printed it.")] = None,
    node: Annotated[str | None, Option(help="Ask this node, such as n2.")] = None,
    store: Annotated[Path, Option(help="Folder of results.")] = Path("store"),
) -> None:
    """Write a tombstone; it replaces what the context covers, and nothing else."""
    from dynamesis.harness.local_cluster.local_cluster import act, token
    from dynamesis.harness.local_cluster.local_cluster import context as parsed

    covered = parsed(context)
    done = act(store, node, lambda client: client.delete(os.fsencode(key), context=covered))
    print(f"{done.worth.replicas} replicas, coordinated by {done.worth.coordinator}")
    print(f"context: {token(done.context)}")
