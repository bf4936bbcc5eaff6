"""`dynamesis merge`: one campaign of its shards."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from dynamesis.harness.usage.flags import STORE, Plain, Quiet, Store
from typer import Argument, Option


def run(
    folders: Annotated[
        list[Path],
        Argument(
            help="Folders of campaigns that were run with --shard, or what they are in.",
            metavar="FOLDER...",
        ),
    ],
    store: Store = STORE,
    junit: Annotated[Path | None, Option(help="Write the verdicts here too, as JUnit XML.")] = None,
    quiet: Quiet = False,
    plain: Plain = False,
) -> int:
    """Make one campaign of its shards."""
    from dynamesis.harness.campaign.merge import run_merge
    from dynamesis.harness.run.progress_view import Mode
    from dynamesis.harness.usage.values import writable_file

    if junit is not None:
        writable_file("--junit", junit)
    return run_merge(folders, store, junit, Mode.of(quiet, plain))
