"""`dynamesis shrink`: fewer faults that still make a test fail."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from typer import Argument, Option


def run(
    folder: Annotated[Path, Argument(help="Folder of a test that was invalid.", metavar="DIR")],
    tries: Annotated[int, Option(help="Runs in which a schedule may fail.")] = 3,
    runs: Annotated[int, Option(help="Runs in all.")] = 60,
) -> int:
    """Find the fewest faults with which a test still fails."""
    from dynamesis.harness.campaign.run_shrink import run_shrink
    from dynamesis.harness.usage.values import within

    within("--tries", tries, 1, 100)
    within("--runs", runs, 1, 10_000)
    return run_shrink(folder, tries, runs)
