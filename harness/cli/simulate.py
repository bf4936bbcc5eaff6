"""`dynamesis simulate`: many small schedules in virtual time."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from dynamesis.harness.usage.flags import STORE, Plain, Quiet, Store
from typer import Option

Replay = Annotated[
    str | None,
    Option(
        help="Play one schedule again, with its story: a token, or the folder or file of a test.",
        metavar="TOKEN|DIR",
    ),
]
Exhaust = Annotated[
    bool,
    Option(
        "--exhaust",
        help="Play all sequences of up to 3 faults and 3 requests; with --schedules only so "
        "many of them, evenly spread.",
    ),
]


def run(
    schedules: Annotated[
        int | None, Option(help="How many schedules; 1000 when absent, without --time.")
    ] = None,
    time: Annotated[str | None, Option(help="How long to run instead: 60s, 10m, 2h.")] = None,
    seed: Annotated[
        int | None, Option(help="Seed of the first schedule; drawn when absent.")
    ] = None,
    jobs: Annotated[
        int | None, Option(help="Processes; as many as there are cores when absent.")
    ] = None,
    workload: Annotated[
        str | None, Option(help="Only these workloads, several by comma; or FILE.py:NAME.")
    ] = None,
    nemesis: Annotated[
        str | None, Option(help="Only these faults, several by comma; or FILE.py:NAME.")
    ] = None,
    bug: Annotated[
        list[str] | None,
        Option(
            help="Plant a bug, NAME or FILE.py:NAME, in every node; several by comma, or repeated."
        ),
    ] = None,
    replay: Replay = None,
    exhaust: Exhaust = False,
    json: Annotated[Path | None, Option(help="Write the results here too, as JSON.")] = None,
    pytest: Annotated[
        Path | None,
        Option(help="Write a regression test of each failure here, beside those that are there."),
    ] = None,
    store: Store = STORE,
    quiet: Quiet = False,
    plain: Plain = False,
) -> int:
    """Play thousands of small schedules in virtual time.

    Each is drawn from a seed, run, judged, and shrunk if it fails.
    """
    from dynamesis.harness.run.progress_view import Mode
    from dynamesis.harness.simulation.asked import SimulateFlags, asked, one
    from dynamesis.harness.simulation.exhaust import run_exhaust
    from dynamesis.harness.simulation.replay import run_replay
    from dynamesis.harness.simulation.run_simulation import run_simulation
    from dynamesis.harness.usage.exits import UsageError

    given = SimulateFlags(
        schedules, time, seed, jobs, workload, nemesis, tuple(bug or ()), store, json, pytest,
        Mode.of(quiet, plain),
    )  # fmt: skip
    if exhaust:
        if replay is not None:
            raise UsageError("--replay: plays one schedule; leave --exhaust out")
        return run_exhaust(given)
    if replay is not None:
        return run_replay(replay, one(given))
    return run_simulation(asked(given))
