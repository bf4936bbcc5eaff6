"""`dynamesis cluster`: a local cluster that stays up."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

from dynamesis.harness.usage.flags import STORE, Store
from dynamesis.harness.worlds.flag_kinds import CLUSTER
from dynamesis.harness.worlds.flags import with_flags
from dynamesis.harness.worlds.test_spec import TestSpec
from typer import Option


@with_flags(lambda flag: flag.cluster, links="direct")
def run(
    spec: TestSpec,
    spare: Annotated[
        int, Option(help="How many more, for `dynamesis join`.", rich_help_panel=CLUSTER)
    ] = 0,
    store: Store = STORE,
) -> int:
    """Keep a local cluster up until ctrl-C.

    `get`, `put`, `delete`, `status`, `explain`, `repair`, `join`, `leave` and `remove` find it.
    """
    from dynamesis.harness.local_cluster.keeper import keep_up
    from dynamesis.harness.usage.values import within
    from dynamesis.harness.worlds.options import require_ports, topology
    from dynamesis.harness.worlds.test_spec import DYNAMO, MOST_NODES

    spec, target = topology(replace(spec, target=DYNAMO))
    nodes = spec.nodes or 0
    within("--nodes", nodes, 1, MOST_NODES)
    within("--spare", spare, 0, MOST_NODES - nodes)
    require_ports(target, spec.links, nodes + spare, spec.port_base)
    return keep_up(spec, target, store, tuple(f"n{nodes + 1 + i}" for i in range(spare)))
