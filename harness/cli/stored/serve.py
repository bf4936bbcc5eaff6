"""`dynamesis serve`: browse the store."""

from __future__ import annotations

from typing import Annotated

from dynamesis.harness.usage.flags import STORE, Store
from typer import Option


def run(
    store: Store = STORE,
    port: Annotated[int, Option(help="Port on 127.0.0.1; 0 finds a free one.")] = 8008,
) -> None:
    """Show all results in a browser, read-only, until ctrl-C."""
    from dynamesis.harness.serve.server import serve
    from dynamesis.harness.usage.exits import UsageError
    from dynamesis.harness.usage.values import within

    within("--port", port, 0, 65535)
    if not store.is_dir():
        raise UsageError(f"--store: no folder {store}; name one that tests wrote")
    serve(store, port, print)
