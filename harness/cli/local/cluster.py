"""`dynamesis cluster`: a cluster to play with."""

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
from typer import Option


def run(
    nodes: Nodes = 5,
    spare: Annotated[int, Option(help="How many more, for `dynamesis join`.")] = 0,
    n: N = 3,
    r: R = 2,
    w: W = 2,
    strict: Strict = False,
    links: LinksKind = "direct",
    storage: Storage = "lmdb",
    bug: Bug = None,
    tls: Tls = None,
    param: Param = None,
    port_base: PortBase = None,
    store: Store = Path("store"),
) -> int:
    """Keep a cluster up until ctrl-C; `get`, `put`, `delete`, `status`, `explain`, `repair`,
    `join`, `leave` and `remove` find it."""
    from dynamesis.harness.local_cluster.keeper import keep_up
    from dynamesis.harness.usage.values import within
    from dynamesis.harness.worlds.options import MOST_NODES, room, topology

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
