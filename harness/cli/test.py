"""`dynamesis test`: one test, from boot to verdict."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from dynamesis.harness.usage.flags import (
    Bug,
    LinksKind,
    N,
    Nodes,
    Param,
    PortBase,
    R,
    Storage,
    Store,
    Strict,
    Tls,
    W,
)
from typer import Context, Option


def run(
    context: Context,
    workload: Annotated[str, Option(help="What clients do (see `dynamesis list`).")] = "cart",
    option: Annotated[
        list[str] | None,
        Option(help="Set NAME=VALUE for the workload (see `dynamesis list`); may be repeated."),
    ] = None,
    nemesis: Annotated[
        str | None,
        Option(help="Faults to inject, several by comma; `none` for none; cut when absent."),
    ] = None,
    schedule: Annotated[
        Path | None,
        Option(help="Replay the faults in this file, such as the schedule.yaml of a test."),
    ] = None,
    nodes: Nodes = 5,
    n: N = 3,
    r: R = 2,
    w: W = 2,
    strict: Strict = False,
    time_limit: Annotated[str, Option(help="How long the load lasts: 500ms, 10s, 2m.")] = "10s",
    rate: Annotated[float, Option(help="Operations a second, over all clients.")] = 100.0,
    concurrency: Annotated[int, Option(help="How many clients.")] = 10,
    drivers: Annotated[
        int, Option(help="Processes that carry out the load; 0 for the harness's own.")
    ] = 0,
    keys: Annotated[int, Option(help="How many keys.")] = 8,
    seed: Annotated[
        int | None, Option(help="Seed of everything that is random; drawn when absent.")
    ] = None,
    links: LinksKind = "auto",
    clocks: Annotated[
        str, Option(help="How wall clocks are made wrong: in-process, or through faketime.")
    ] = "in-process",
    storage: Storage = "lmdb",
    bug: Bug = None,
    tls: Tls = None,
    param: Param = None,
    port_base: PortBase = None,
    store: Store = Path("store"),
    junit: Annotated[Path | None, Option(help="Write the verdict here too, as JUnit XML.")] = None,
) -> int:
    """Boot a cluster, load it, break it, heal it, and judge what it did."""
    from dynamesis.harness.worlds.options import FLAGS, asked
    from dynamesis.harness.worlds.run_test import run_test

    given = locals()
    options = asked(**{name: given[name] for name in FLAGS})
    return run_test(options, context.obj, store, junit)
