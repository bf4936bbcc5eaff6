"""`dynamesis get`: read a key of the cluster that is up."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

from typer import Argument, Option


def run(
    key: Annotated[str, Argument(help="The key.")],
    node: Annotated[str | None, Option(help="Ask this node, such as n2.")] = None,
    store: Annotated[Path, Option(help="Folder of results.")] = Path("store"),
) -> None:
    """Print every sibling of a key, and the context to hand back with a put."""
    from dynamesis.harness.local_cluster.local_cluster import act, token

    found = act(store, node, lambda client: client.get(os.fsencode(key)))
    for sibling in found.siblings:
        print("(deleted)" if sibling.deleted else sibling.value.decode(errors="replace"))
    if not found.siblings:
        print("(nothing)")
    print(f"context: {token(found.context)}")
