"""`dynamesis join`: have a node that runs beside the cluster (cluster --spare) join it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from typer import Argument, Option


def run(
    node: Annotated[str, Argument(help="The node, such as n2.")],
    store: Annotated[Path, Option(help="Folder of results.")] = Path("store"),
) -> None:
    """Have a node that runs beside the cluster (cluster --spare) join it."""
    from dynamesis.harness.local_cluster.local_cluster import change

    change(store, "join", node)
