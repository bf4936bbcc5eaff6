"""`dynamesis cluster`: a local cluster that stays up."""

from __future__ import annotations

from typing import Annotated

from dynamesis.harness.usage.flags import STORE, Store
from dynamesis.harness.worlds.flags import with_flags
from dynamesis.harness.worlds.test_spec import CLUSTER, TestSpec
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
    from dynamesis.harness.worlds.test_spec import MOST_NODES

    wanted = topology(spec)
    within("--spare", spare, 0, MOST_NODES - spec.nodes)
    require_ports(wanted, spare)
    return keep_up(wanted, store, tuple(f"n{spec.nodes + 1 + i}" for i in range(spare)))
