"""`dynamesis campaign`: a matrix of tests."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from dynamesis.harness.usage.catalogue import names
from dynamesis.harness.usage.flags import STORE, Plain, Quiet, Store
from typer import Argument, Option


def run(
    campaign: Annotated[
        str,
        Argument(
            help=f"A YAML file, or a shipped campaign: {', '.join(names('campaigns'))}.",
            metavar="CAMPAIGN",
        ),
    ],
    jobs: Annotated[int, Option(help="Tests at once.")] = 1,
    only: Annotated[
        str | None,
        Option(help="Only cells with these workloads, nemeses, configs, seeds; by comma."),
    ] = None,
    resume: Annotated[
        bool, Option("--resume", help="Go on with the last campaign of this name.")
    ] = False,
    store: Store = STORE,
    junit: Annotated[Path | None, Option(help="Write the verdicts here too, as JUnit XML.")] = None,
    quiet: Quiet = False,
    plain: Plain = False,
) -> int:
    """Run every test of a matrix, and again those that failed."""
    from dynamesis.harness.campaign.run_campaign import run_campaign
    from dynamesis.harness.run.progress_view import Mode
    from dynamesis.harness.usage.shipped import campaign_file
    from dynamesis.harness.usage.values import within, writable_file

    within("--jobs", jobs, 1, 64)
    if junit is not None:
        writable_file("--junit", junit)
    return run_campaign(
        campaign_file(campaign), only, store, jobs, resume, junit, Mode.of(quiet, plain)
    )
