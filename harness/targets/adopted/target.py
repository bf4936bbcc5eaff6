"""Target `adopt`: a cluster that runs already. The clients are those of the store that its file
names; what can be done to it is what its owner gives commands and addresses for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from dynamesis.checkers.history.counts import counted
from dynamesis.checkers.history.op import JsonObject
from dynamesis.harness.targets.adopted.cluster_file import AdoptedCluster, read_cluster
from dynamesis.harness.targets.adopted.processes import AdoptedProcesses
from dynamesis.harness.targets.capabilities import Capabilities
from dynamesis.harness.targets.client import Client
from dynamesis.harness.targets.site import CLIENT, PEERS, Site
from dynamesis.harness.targets.target import BuildContext, Target, TargetOption

#: what a test of it can do beside cuts -> the commands that it takes
_COMMANDS = {"kill": ("kill", "start"), "stop": ("stop", "start"), "pause": ("pause", "resume")}


class AdoptTarget(Target):
    """A cluster that runs already, by --target-option file=CLUSTER.yaml."""

    name = "adopt"
    description = "a cluster that runs already: addresses and commands from a file"
    ports = ("client", "peer")
    peer_ports = ("peer",)
    options = {  # noqa: RUF012  # replaced, never changed
        "file": TargetOption("", "the YAML file that describes it (docs/links.md)")
    }

    def __init__(self, cluster: AdoptedCluster | None = None, store: Target | None = None) -> None:
        """`store`: whose clients speak to it."""
        self._cluster = cluster
        self._store = store
        if cluster is not None and store is not None:
            self.workloads = store.workloads
            self.nodes = len(cluster.nodes)
            self.links = cluster.links
            self.op_limit = store.op_limit
            self.quiet_after = store.quiet_after
            self.promises = store.promises
            self.boot_limit = cluster.limit

    def with_options(self, options: Mapping[str, str]) -> AdoptTarget:
        from dynamesis.harness.targets.registry import load_target

        if not options["file"]:
            raise ValueError("target adopt needs file=CLUSTER.yaml")
        cluster = read_cluster(Path(options["file"]))
        names = [f"n{number}" for number in range(1, len(cluster.nodes) + 1)]
        if sorted(cluster.nodes) != sorted(names):
            given = ", ".join(cluster.nodes)
            raise ValueError(f"{options['file']}: nodes are n1, n2 and so on, not {given}")
        if cluster.store == self.name:
            raise ValueError(f"{options['file']}: store is whose clients speak to it, not adopt")
        store = load_target(cluster.store)
        unknown = sorted(set(cluster.options) - set(store.options))
        if unknown:
            raise ValueError(f"{options['file']}: store {store.name} has no option {unknown[0]}")
        for name, value in cluster.options.items():
            allowed = store.options[name].allowed
            if allowed and value not in allowed:
                one = f"options.{name} is {value!r}, not one of: {', '.join(allowed)}"
                raise ValueError(f"{options['file']}: {one}")
        defaults = {name: option.default for name, option in store.options.items()}
        return AdoptTarget(cluster, store.with_options({**defaults, **cluster.options}))

    def configured(self, values: Mapping[str, Any]) -> AdoptTarget:
        if values["nodes"] != self.nodes:
            there = counted(self.nodes, "node")
            raise ValueError(f"--nodes: the file has {there}, not {values['nodes']}")
        return self

    @property
    def able(self) -> frozenset[str]:
        cluster = self._cluster
        if cluster is None:
            return frozenset()
        can = {name for name, needs in _COMMANDS.items() if all(map(cluster.can, needs))}
        links = {"pairs": {"cuts"}, "nodes": {"isolations"}}.get(cluster.links or "", set())
        return frozenset(can | links)

    def client(self, site: Site) -> Client:
        defaults = {name: option.default for name, option in self._inner.options.items()}
        return self._inner.client(replace(site, options={**defaults, **self._adopted.options}))

    def listens(self, node: str, port: str) -> str | None:
        adopted = self._adopted.nodes[node]
        return adopted.client if port == "client" else adopted.peer

    def proxied(self, source: str, dest: str, port: str) -> str | None:
        nodes = self._adopted.nodes
        if source == CLIENT:
            return None
        return nodes[dest].advertised if source == PEERS else nodes[source].dials[dest]

    def build(self, context: BuildContext) -> Capabilities:
        folder = context.site.folder / "commands"
        processes = AdoptedProcesses(self._adopted, folder, context.busy)
        return Capabilities(processes, quiet_after=self.quiet_after)

    def describe(self) -> JsonObject:
        return dict(self.promises) | {"store": self._adopted.store}

    @property
    def _adopted(self) -> AdoptedCluster:
        assert self._cluster is not None, "the file was not read"
        return self._cluster

    @property
    def _inner(self) -> Target:
        assert self._store is not None, "the file was not read"
        return self._store
