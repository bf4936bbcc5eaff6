"""`dynamesis log`: the event logs of all nodes as one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from typer import Argument, Option


def run(
    folder: Annotated[Path, Argument(help="Folder of a test.", metavar="DIR")],
    node: Annotated[str | None, Option(help="Only these nodes, by comma.")] = None,
    key: Annotated[str | None, Option(help="Only what names this key.")] = None,
    request: Annotated[
        str | None, Option(help="Only what this write did, by its id in the history.")
    ] = None,
    event: Annotated[str | None, Option(help="Only these events, by comma.")] = None,
) -> None:
    """Print what the nodes of a test logged, merged by time."""
    from dynamesis.harness.report.nodelog import Wanted, merged, nodes_of
    from dynamesis.harness.usage.exits import UsageError
    from dynamesis.harness.usage.output import print_text
    from dynamesis.harness.usage.values import one_of

    logs = nodes_of(folder)
    if not logs:
        raise UsageError(f"{folder}: no logs of nodes here; give the folder of a test")
    nodes = [one_of("--node", part.strip(), logs) for part in (node or ",".join(logs)).split(",")]
    events = frozenset(part.strip() for part in event.split(",")) if event else None
    wanted = Wanted(events, key, request)
    for line in merged({each: logs[each] for each in nodes}, wanted):
        print_text(line)
