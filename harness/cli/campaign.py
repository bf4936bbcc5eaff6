"""`dynamesis campaign`: a matrix of tests."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from dynamesis.harness.usage.catalogue import names
from dynamesis.harness.usage.flags import STORE, Plain, Quiet, Store
from typer import Argument, Option

if TYPE_CHECKING:
    from dynamesis.harness.campaign.worker_pool import Pool


def run(
    campaign: Annotated[
        str,
        Argument(
            help=f"A YAML file, or a shipped campaign: {', '.join(names('campaigns'))}.",
            metavar="CAMPAIGN",
        ),
    ],
    jobs: Annotated[int, Option(help="Tests that run concurrently.")] = 1,
    only: Annotated[
        str | None,
        Option(help="Only cells with these workloads, nemeses, configs, seeds; by comma."),
    ] = None,
    shard: Annotated[
        str | None,
        Option(help="Only part I of N, for `dynamesis merge`: 2/3.", metavar="I/N"),
    ] = None,
    world: Annotated[
        str | None, Option(help="Run every test in this world, whatever its configuration.")
    ] = None,
    budget: Annotated[
        list[str] | None,
        Option(
            help="Change the budget: time=6h, runs=200, bytes=2GB, reruns=50, width=0.2; by "
            "comma, or repeated.",
            metavar="NAME=VALUE",
        ),
    ] = None,
    dask: Annotated[
        str | None,
        Option(help="Run the tests on the workers of this Dask scheduler.", metavar="ADDRESS"),
    ] = None,
    resume: Annotated[
        bool, Option("--resume", help="Continue the last campaign of this name.")
    ] = False,
    dry_run: Annotated[
        bool, Option("--dry-run", help="Show what would be run and pruned, and do nothing.")
    ] = False,
    store: Store = STORE,
    junit: Annotated[Path | None, Option(help="Write the verdicts here too, as JUnit XML.")] = None,
    quiet: Quiet = False,
    plain: Plain = False,
) -> int:
    """Run every test of a matrix, and again those that failed."""
    from dynamesis.harness.campaign.run_campaign import CampaignOptions, run_campaign
    from dynamesis.harness.run.progress_view import Mode
    from dynamesis.harness.usage.shipped import campaign_file
    from dynamesis.harness.usage.values import within, writable_file

    within("--jobs", jobs, 1, 64)
    if junit is not None:
        writable_file("--junit", junit)
    options = {} if world is None else {"world": world}
    wanted = CampaignOptions(
        only, shard, tuple(budget or ()), options, jobs, resume, junit, dry_run
    )
    mode = Mode.of(quiet, plain)
    return run_campaign(campaign_file(campaign), store, wanted, mode, _pool(dask, jobs))


def _pool(dask: str | None, jobs: int) -> Callable[[], AbstractContextManager[Pool]] | None:
    """What runs the tests, if not processes of this machine."""
    from dynamesis.harness.usage.exits import UsageError

    if dask is None:
        return None
    if jobs != 1:
        raise UsageError("--jobs: with --dask as many tests run as there are workers; leave it out")
    from dynamesis.harness.dask.knock import LIKE, is_address
    from dynamesis.harness.dask.pool import dask_pool

    if not is_address(dask):
        raise UsageError(f"--dask: {dask!r} is not an address; write that of a scheduler, {LIKE}")
    return partial(dask_pool, dask)
