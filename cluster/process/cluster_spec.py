"""Which cluster runs on this machine, and the configuration of each of its nodes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dynamesis.cluster.config.config import Config, Storage, draw_secret
from dynamesis.cluster.config.tls import Tls
from dynamesis.cluster.process.process import OURS
from dynamesis.cluster.process.runtime import NodeRuntime


@dataclass(frozen=True)
class ClusterSpec:
    """Which cluster to run. Addresses are "host:port": `listen` and `admin` by node, `peers`
    by the node that dials and the one it dials. Everything is kept under `root`, a folder
    for each node; `params` are those of cluster.core.protocol.params, the same for all."""

    nodes: tuple[str, ...]
    root: Path
    listen: Mapping[str, str]
    admin: Mapping[str, str]
    peers: Mapping[str, Mapping[str, str]]
    params: Mapping[str, Any] = field(default_factory=dict)
    engine: str = "lmdb"
    bugs: tuple[str, ...] = ()
    cluster: str = "dynamesis"
    #: drawn for this cluster, where none is given
    secret: str = field(default_factory=draw_secret)
    tls: Tls | None = None
    #: nodes that run from the start too, and are members of nothing until asked to join
    spares: tuple[str, ...] = ()
    #: nodes obey the command `disk`, and have it fail
    disk_faults: bool = False
    #: nodes obey the command `clock`, and have a wrong one
    clock_faults: bool = False
    #: libfaketime, where clocks are to be wrong through it and not in the nodes
    faketime: Path | None = None
    #: the version in which every node is started at first
    runtime: NodeRuntime = OURS

    def config(self, node: str, came_again: bool) -> Config:
        """What a node is started with. One that `came_again` founds no ring: it asks to join."""
        founder = node in self.nodes and not came_again
        return Config(
            node=node,
            listen=self.listen[node],
            admin=self.admin[node],
            members=self.nodes if founder else (),
            seeds=() if founder else tuple(self.peers[node]),
            peers=dict(self.peers[node]),
            cluster=self.cluster,
            secret=self.secret,
            tls=self.tls,
            params=dict(self.params),
            storage=Storage(engine=self.engine, faults=self.disk_faults),
            clock_faults=self.clock_faults,
            log_size=0,  # the log is evidence: checkers read all of it
            bugs=self.bugs,
            parent="stdin",
        )
