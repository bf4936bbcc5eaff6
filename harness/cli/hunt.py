"""`dynamesis hunt`: tests without an end."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from dynamesis.harness.usage.catalogue import names
from dynamesis.harness.usage.flags import STORE, Json, Plain, Quiet, Store
from typer import Argument, Option


def run(
    campaign: Annotated[
        str,
        Argument(
            help="Whose combinations are drawn: a YAML file, or a shipped campaign: "
            f"{', '.join(names('campaigns'))}.",
            metavar="[CAMPAIGN]",
        ),
    ] = "nightly",
    time: Annotated[
        str | None, Option(help="How long it lasts: 10m, 2h; without an end when absent.")
    ] = None,
    runs: Annotated[int | None, Option(help="Runs of any kind, in all.")] = None,
    jobs: Annotated[int, Option(help="Tests that run concurrently.")] = 1,
    seed: Annotated[int | None, Option(help="Decides what is drawn; drawn when absent.")] = None,
    world: Annotated[
        str | None,
        Option(help="Draw tests in this world only: simulated, processes; both when absent."),
    ] = None,
    simulated: Annotated[
        int, Option(help="Seeds in simulation of each combination, for one on processes.")
    ] = 20,
    failures: Annotated[Path, Option(help="Folder of failures, for git.")] = Path("failures"),
    tries: Annotated[int, Option(help="Runs in which a smaller schedule may fail.")] = 3,
    shrink_runs: Annotated[int, Option(help="Runs to shrink a failure.")] = 40,
    replays: Annotated[int, Option(help="Runs of each known failure.")] = 5,
    store: Store = STORE,
    json: Json = False,
    quiet: Quiet = False,
    plain: Plain = False,
) -> int:
    """Draw tests until ctrl-C; shrink and keep what fails."""
    from dynamesis.harness.failures.failure import WORLDS
    from dynamesis.harness.hunt.run_hunt import HuntOptions, run_hunt
    from dynamesis.harness.hunt.runs import HuntBudget
    from dynamesis.harness.hunt.shrink import ShrinkLimits
    from dynamesis.harness.run.progress_view import Mode
    from dynamesis.harness.usage.shipped import campaign_file
    from dynamesis.harness.usage.values import duration, one_of, within

    within("--jobs", jobs, 1, 64)
    within("--simulated", simulated, 1, 1_000_000)
    within("--tries", tries, 1, 100)
    within("--shrink-runs", shrink_runs, 0, 10_000)
    within("--replays", replays, 1, 1000)
    if runs is not None:
        within("--runs", runs, 1, 10**9)
    if seed is not None:
        within("--seed", seed, 0, 2**63 - 1)
    if world is not None:
        one_of("--world", world, WORLDS)
    budget = HuntBudget(None if time is None else duration("--time", time), runs)
    limits = ShrinkLimits(tries, shrink_runs, replays)
    options = HuntOptions(failures, store, jobs, seed, world, simulated, budget, limits)
    mode = Mode.of(quiet or json, plain)
    return run_hunt(campaign_file(campaign), options, json, mode)
