"""`dynamesis replay`: do known failures still fail?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from dynamesis.harness.usage.flags import STORE, Json, Plain, Quiet, Store
from typer import Argument, Option


def run(
    paths: Annotated[
        list[Path],
        Argument(help="Folders or files of failures, as a hunt keeps them.", metavar="PATH..."),
    ],
    replays: Annotated[int, Option(help="Runs of each; one in simulation.")] = 5,
    jobs: Annotated[int, Option(help="Tests that run concurrently.")] = 1,
    update: Annotated[
        bool, Option("--update", help="Note the rates in the files of the failures.")
    ] = False,
    store: Store = STORE,
    json: Json = False,
    quiet: Quiet = False,
    plain: Plain = False,
) -> int:
    """Replay the failures that a hunt has kept.

    Exit code 1 while one still fails, 0 when all pass.
    """
    from dynamesis.harness.hunt.run_replay import run_replay
    from dynamesis.harness.run.progress_view import Mode
    from dynamesis.harness.usage.values import within

    within("--replays", replays, 1, 1000)
    within("--jobs", jobs, 1, 64)
    return run_replay(paths, store, jobs, replays, update, json, Mode.of(quiet or json, plain))
