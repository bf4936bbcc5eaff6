"""Keeps a local cluster up until it is interrupted."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from dynamesis.checkers.history.counts import counted
from dynamesis.harness.local_cluster.local_cluster import STATE, LocalCluster, up
from dynamesis.harness.processes.signals import ending
from dynamesis.harness.targets.capabilities import Processes
from dynamesis.harness.targets.dynamo.target import DynamoTarget
from dynamesis.harness.targets.system import EnvironmentFailed
from dynamesis.harness.worlds.environment import EnvironmentSpec, TestEnvironment, build
from dynamesis.harness.worlds.test_spec import TestSpec

#: s between two looks whether all nodes live
_LOOK = 0.5


def keep_up(spec: TestSpec, target: DynamoTarget, store: Path, spares: tuple[str, ...] = ()) -> int:
    """Start a cluster, and spare nodes beside it; stop it on SIGINT or SIGTERM."""
    state, root = store / STATE, store / "cluster"
    if up(state) is not None:
        raise EnvironmentFailed(f"a cluster is up already ({state}); stop it, or choose --store")
    shutil.rmtree(root, ignore_errors=True)
    topology = target.topology
    assert topology is not None
    plan = EnvironmentSpec(
        target=target,
        nodes=topology.nodes,
        links=spec.links,
        root=root.resolve(),
        logs=(root / "links").resolve(),
        port_base=spec.port_base,
        spares=spares,
    )
    try:
        with build(plan, print, _restarted) as world:
            authority = None if topology.tls is None else str(topology.tls.ca)
            asyncio.run(_serve(world, store, target.secret, authority))
    finally:
        state.unlink(missing_ok=True)
        shutil.rmtree(root, ignore_errors=True)
    return 0


def _restarted(what: Mapping[str, object]) -> None:
    print(f"{what['server']} of the links was started again: {what['reason']}", flush=True)


async def _serve(world: TestEnvironment, store: Path, secret: str, authority: str | None) -> None:
    stop = asyncio.Event()
    for number in ending():
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    try:
        await world.links.start(world.routes)
        await world.store.processes.start_all()
        admin = {node: site.address("admin") for node, site in world.sites.items()}
        clients = world.client_addresses()
        found = LocalCluster(os.getpid(), "dynamesis", clients, admin, secret, authority)
        state = found.save(store)
        many = len(found.clients)
        up = f"{counted(many, 'node')} {'is' if many == 1 else 'are'} up"
        print(f"{up} ({state}); ctrl-C stops {'it' if many == 1 else 'them'}", flush=True)
        await _until(stop, world.store.processes)
    except (OSError, RuntimeError) as failure:
        raise EnvironmentFailed(str(failure) or type(failure).__name__) from failure
    finally:
        await asyncio.gather(world.store.processes.stop_all(), world.links.stop())


async def _until(stop: asyncio.Event, cluster: Processes) -> None:
    """Wait, and print each node that dies; the others stay up."""
    dead: set[str] = set()
    while not stop.is_set():
        down = {node for node in cluster.nodes if cluster.state(node) == "down"}
        for node in sorted(down - dead):
            print(f"{node} died: {cluster.last_words(node)}", flush=True)
        dead = down
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), _LOOK)
