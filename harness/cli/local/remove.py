"""`dynamesis remove`: declare that a node is dead and will not come back."""

from __future__ import annotations

from typing import Annotated

from dynamesis.harness.usage.flags import STORE, Store
from typer import Argument


def run(
    node: Annotated[str, Argument(help="The node, such as n2.")],
    store: Store = STORE,
) -> None:
    """Remove a node that is dead and will not come back."""
    from dynamesis.harness.local_cluster.local_cluster import change

    change(store, "remove", node)
