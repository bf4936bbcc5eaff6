"""`dynamesis test`: one test, from boot to verdict."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from dynamesis.harness.usage.flags import Plain, Quiet
from dynamesis.harness.worlds.flag_kinds import OUTPUT
from dynamesis.harness.worlds.flags import with_flags
from dynamesis.harness.worlds.test_spec import TestSpec
from typer import Option


@with_flags()
def run(
    spec: TestSpec,
    store: Annotated[Path, Option(help="Folder of results.", rich_help_panel=OUTPUT)] = Path(
        "store"
    ),
    junit: Annotated[
        Path | None,
        Option(help="Write the verdict here too, as JUnit XML.", rich_help_panel=OUTPUT),
    ] = None,
    quiet: Quiet = False,
    plain: Plain = False,
) -> int:
    """Boot a cluster, load it, break it, heal it, and judge it."""
    from dynamesis.harness.run.progress_view import Mode
    from dynamesis.harness.worlds.observer import ConsoleObserver
    from dynamesis.harness.worlds.run_test import run_test

    observer = ConsoleObserver(Mode.of(quiet, plain))
    return run_test(spec, store=store, junit=junit, observer=observer).exit_code
