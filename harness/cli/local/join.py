"""`dynamesis join`: have a node that runs beside the cluster (cluster --spare) join it."""

from __future__ import annotations

from typing import Annotated

from dynamesis.harness.usage.flags import STORE, Store
from typer import Argument


def run(
    node: Annotated[str, Argument(help="The node, such as n2.")],
    store: Store = STORE,
) -> None:
    """Have a node that runs beside the cluster join it.

    `dynamesis cluster --spare` starts such nodes.
    """
    from dynamesis.harness.local_cluster.local_cluster import change

    change(store, "join", node)
