"""`dynamesis serve`: browse the store."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from typer import Option


def run(
    store: Annotated[Path, Option(help="Folder of results.")] = Path("store"),
    port: Annotated[int, Option(help="Port on 127.0.0.1; 0 finds a free one.")] = 8008,
) -> None:
    """Show all tests and campaigns in a browser, read-only, until ctrl-C."""
    from dynamesis.harness.report.serve import serve
    from dynamesis.harness.usage.exits import UsageError
    from dynamesis.harness.usage.values import within

    within("--port", port, 0, 65535)
    if not store.is_dir():
        raise UsageError(f"--store: {store} is no folder of results")
    serve(store, port, print)
