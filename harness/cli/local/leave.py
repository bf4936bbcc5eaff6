"""`dynamesis leave`: have a node give its data to the others and leave the cluster."""

from __future__ import annotations

from typing import Annotated

from dynamesis.harness.usage.flags import STORE, Store
from typer import Argument


def run(
    node: Annotated[str, Argument(help="The node, such as n2.")],
    store: Store = STORE,
) -> None:
    """Have a node hand its data over and leave the cluster."""
    from dynamesis.harness.local_cluster.local_cluster import change

    change(store, "leave", node)
