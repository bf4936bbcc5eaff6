"""`dynamesis export`: a stored test in the form of another tool."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from typer import Argument, Option


def run(
    folder: Annotated[Path, Argument(help="Folder of a test.", metavar="DIR")],
    perfetto: Annotated[
        bool, Option("--perfetto", help="As a Perfetto trace, for ui.perfetto.dev.")
    ] = False,
    output: Annotated[
        Path | None, Option(help="The file. (default: DIR/trace.pftrace)", metavar="FILE")
    ] = None,
) -> int:
    """Export a stored test as a trace.

    It has operations, faults, node logs and causal flows.
    """
    from dynamesis.harness.check.drawn import save_trace
    from dynamesis.harness.usage.exits import VALID, UsageError

    if not perfetto:
        raise UsageError("--perfetto: missing, the one form that there is; give it")
    print(save_trace(folder, output))
    return VALID
