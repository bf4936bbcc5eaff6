"""`dynamesis test`: one test, from boot to verdict."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

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
    nodes: Annotated[int, Option(help="How many nodes.")] = 5,
    n: Annotated[int, Option("--n", help="Copies of each key.")] = 3,
    r: Annotated[int, Option("--r", help="Copies that must answer a get.")] = 2,
    w: Annotated[int, Option("--w", help="Copies that must acknowledge a put.")] = 2,
    strict: Annotated[
        bool, Option("--strict", help="No sloppy quorum: only primaries count.")
    ] = False,
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
    links: Annotated[str, Option(help="What the network is made of.")] = "auto",
    clocks: Annotated[
        str, Option(help="How wall clocks are made wrong: in-process, or through faketime.")
    ] = "in-process",
    storage: Annotated[str, Option(help="What nodes persist into.")] = "lmdb",
    bug: Annotated[
        list[str] | None,
        Option(help="Plant a bug, NAME or FILE.py:NAME, in every node; may be repeated."),
    ] = None,
    tls: Annotated[
        Path | None,
        Option(help="Encrypt everything, with node.pem, node.key and ca.pem of this folder."),
    ] = None,
    param: Annotated[
        list[str] | None,
        Option(help="Tell every node NAME=VALUE, in YAML (docs/node.md); may be repeated."),
    ] = None,
    port_base: Annotated[
        int | None, Option(help="First of the ports to use; by default free ones are found.")
    ] = None,
    store: Annotated[Path, Option(help="Folder of results.")] = Path("store"),
    junit: Annotated[Path | None, Option(help="Write the verdict here too, as JUnit XML.")] = None,
) -> int:
    """Boot a cluster, load it, break it, heal it, and judge what it did."""
    from harness.cli.options import FLAGS, asked
    from harness.cli.testing import run_test

    given = locals()
    options = asked(**{name: given[name] for name in FLAGS})
    return run_test(options, context.obj, store, junit)
