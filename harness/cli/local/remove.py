"""`dynamesis remove`: declare that a node is dead and will not come back."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from typer import Argument, Option


def run(
    node: Annotated[str, Argument(help="The node, such as n2.")],
    store: Annotated[Path, Option(help="Folder of results.")] = Path("store"),
) -> None:
    """Declare a node that is dead, and will not come back, to be no member any more."""
    from dynamesis.harness.local_cluster.local_cluster import change

    change(store, "remove", node)
