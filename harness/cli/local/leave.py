"""`dynamesis leave`: have a node give its data to the others and leave the cluster."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from typer import Argument, Option


def run(
    node: Annotated[str, Argument(help="The node, such as n2.")],
    store: Annotated[Path, Option(help="Folder of results.")] = Path("store"),
) -> None:
    """Have a node give its data to the others and leave the cluster."""
    from dynamesis.harness.local_cluster.local_cluster import change

    change(store, "leave", node)
