"""`dynamesis zoo`: planted bugs against the harness."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from dynamesis.harness.usage.flags import STORE, Plain, Quiet, Store
from typer import Context, Option


def run(
    context: Context,
    only: Annotated[
        str | None,
        Option(
            help="Only these bugs; by comma (see `dynamesis list`). FILE.py:NAME is one of your "
            "own, with --storm or --simulate."
        ),
    ] = None,
    seeds: Annotated[int | None, Option(help="How many seeds each bug is tried with: 3.")] = None,
    seed: Annotated[int, Option(help="The first of the seeds.")] = 1,
    jobs: Annotated[int, Option(help="Tests that run concurrently.")] = 1,
    storm: Annotated[
        bool,
        Option("--storm", help="One campaign that knows nothing of the bug, until it is caught."),
    ] = False,
    simulate: Annotated[
        bool,
        Option("--simulate", help="Under swarms in virtual time that know nothing of the bug."),
    ] = False,
    time_limit: Annotated[
        str | None, Option(help="How long the load of a test lasts: 8s; in a storm 15s.")
    ] = None,
    json: Annotated[Path | None, Option(help="Write the results here too, as JSON.")] = None,
    markdown: Annotated[
        Path | None, Option(help="Write the results here too, as Markdown.")
    ] = None,
    store: Store = STORE,
    quiet: Quiet = False,
    plain: Plain = False,
) -> int:
    """Plant each bug, and see whether it is caught.

    Shows by what each is caught, and how soon.
    """
    from dynamesis.harness.run.progress_view import Mode
    from dynamesis.harness.usage.values import duration, within, writable_files
    from dynamesis.harness.zoo.chosen import chosen
    from dynamesis.harness.zoo.run_zoo import Visit, run_zoo

    within("--jobs", jobs, 1, 64)
    count = 3 if seeds is None else seeds
    within("--seeds", count, 1, 10_000)
    within("--seed", seed, 0, 2**62)
    writable_files(("--json", json), ("--markdown", markdown))
    limit = time_limit or ("15s" if storm else "8s")
    seconds = duration("--time-limit", limit, 0.1, 3600)
    _refuse(storm, simulate, time_limit, seeds)
    visit = Visit(only, range(seed, seed + count), storm, limit, seconds)
    if simulate:
        from dynamesis.harness.zoo.simulated import run_simulated_zoo

        return run_simulated_zoo(
            chosen(only, blind=True), seed, jobs, store, json, markdown, context.obj,
            Mode.of(quiet, plain),
        )  # fmt: skip
    return run_zoo(visit, jobs, store, json, markdown, context.obj, Mode.of(quiet, plain))


def _refuse(storm: bool, simulate: bool, time_limit: str | None, seeds: int | None) -> None:
    """Raises UsageError for flags that do not go together."""
    from dynamesis.harness.usage.exits import UsageError

    if simulate and (storm or time_limit is not None or seeds is not None):
        without = "--storm, --time-limit and --seeds"
        raise UsageError(f"--simulate: goes without {without}; leave them out")
    if storm and seeds is not None:
        raise UsageError("--storm: goes without --seeds: each bug gets one test; leave it out")
