"""`dynamesis cluster`: a cluster to play with."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from typer import Option


def run(
    nodes: Annotated[int, Option(help="How many nodes.")] = 5,
    spare: Annotated[int, Option(help="How many more, for `dynamesis join`.")] = 0,
    n: Annotated[int, Option("--n", help="Copies of each key.")] = 3,
    r: Annotated[int, Option("--r", help="Copies that must answer a get.")] = 2,
    w: Annotated[int, Option("--w", help="Copies that must acknowledge a put.")] = 2,
    strict: Annotated[
        bool, Option("--strict", help="No sloppy quorum: only primaries count.")
    ] = False,
    links: Annotated[str, Option(help="What the network is made of.")] = "direct",
    storage: Annotated[str, Option(help="What nodes persist into.")] = "lmdb",
    bug: Annotated[
        list[str] | None, Option(help="Plant a bug in every node; may be repeated.")
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
) -> int:
    """Keep a cluster up until ctrl-C; `get`, `put`, `delete`, `status`, `explain`, `repair`,
    `join`, `leave` and `remove` find it."""
    from harness.cli.keeping import keep_up
    from harness.cli.options import MOST_NODES, room, topology
    from harness.cli.values import within

    wanted = topology(
        nodes=nodes,
        n=n,
        r=r,
        w=w,
        sloppy=not strict,
        links=links,
        storage=storage,
        bugs=bug or [],
        port_base=port_base,
        param=param,
        tls=tls,
    )
    within("--spare", spare, 0, MOST_NODES - nodes)
    room(wanted, spare)
    return keep_up(wanted, store, tuple(f"n{nodes + 1 + i}" for i in range(spare)))
