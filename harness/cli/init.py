"""`dynamesis init`: a folder with what a test of your own store needs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from typer import Argument, Option


def run(
    folder: Annotated[Path, Argument(metavar="DIR", help="The folder to write; made if absent.")],
    start: Annotated[
        str | None,
        Option(help="The command that starts a node, with {port}, {data}, {peers}."),
    ] = None,
    read: Annotated[
        str | None, Option(help="How to read: GET http://{address}/{key}, or a command.")
    ] = None,
    write: Annotated[
        str | None, Option(help="How to write: PUT http://{address}/{key} {value}, or a command.")
    ] = None,
) -> None:
    """Write a target, a test and a campaign for a store of your own.

    Asks on a terminal how a node is started, read and written; without one, or without an
    answer, it writes a worked example that runs as it is.
    """
    from dynamesis.harness.init.folder import init

    paths, target = init(folder, {"start": start, "read": read, "write": write})
    print(f"wrote {', '.join(path.name for path in paths)} in {folder}")
    print(f"now   cd {folder} && pytest")
    print(f"or    cd {folder} && dynamesis test --target {target} --nemesis kill,pause")
