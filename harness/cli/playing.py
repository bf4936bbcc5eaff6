"""A cluster that is kept up to play with, and how the other commands find it.

`dynamesis cluster` writes who listens where into a file of the store; `get`, `put`,
`delete` and `status` read it there.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
import os
import shutil
import signal
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeVar

from cluster.client import Client
from cluster.failures import BadRequest, DynamoError
from harness.cli.exits import Wrong
from harness.cli.options import Topology
from harness.cli.values import one_of
from harness.cli.world import World, build
from harness.system import EnvironmentFailed

STATE = "cluster.json"

T = TypeVar("T")


@dataclass(frozen=True)
class Playground:
    """Who listens where: node id -> host:port, for clients and for administration."""

    pid: int
    cluster: str
    clients: dict[str, str]
    admins: dict[str, str]

    def save(self, store: Path) -> Path:
        """Let the other commands find it."""
        store.mkdir(parents=True, exist_ok=True)
        path = store / STATE
        path.write_text(json.dumps(asdict(self), indent=2) + "\n", encoding="utf-8")
        return path


def keep_up(wanted: Topology, store: Path) -> int:
    """Start a cluster, and stop it when told to by SIGINT or SIGTERM."""
    state, root = store / STATE, store / "cluster"
    if _up(state) is not None:
        raise EnvironmentFailed(f"a cluster is up already ({state}); stop it, or choose --store")
    shutil.rmtree(root, ignore_errors=True)
    plan = wanted.plan(root, root / "links")
    try:
        with build(plan, print) as world:
            asyncio.run(_serve(world, store))
    finally:
        state.unlink(missing_ok=True)
        shutil.rmtree(root, ignore_errors=True)
    return 0


async def _serve(world: World, store: Path) -> None:
    told = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, told.set)
    try:
        await world.links.start(world.routes)
        await world.cluster.start_all()
        found = Playground(os.getpid(), "dynamesis", world.client_addresses(), world.admin)
        state = found.save(store)
        print(f"{len(found.clients)} nodes are up ({state}); ctrl-C stops them", flush=True)
        await told.wait()
    except RuntimeError as failure:
        raise EnvironmentFailed(str(failure)) from failure
    finally:
        await asyncio.gather(world.cluster.stop_all(), world.links.stop())


def find(store: Path) -> Playground:
    """Raises EnvironmentFailed when no cluster is up."""
    path = store / STATE
    found = _up(path)
    if found is None:
        raise EnvironmentFailed(
            f"no cluster is up ({path}); start one in another terminal with: dynamesis cluster"
        )
    return found


def _up(path: Path) -> Playground | None:
    try:
        found = Playground(**json.loads(path.read_text(encoding="utf-8")))
        os.kill(found.pid, 0)
    except (FileNotFoundError, ProcessLookupError):
        return None
    except (ValueError, TypeError) as malformed:
        raise Wrong(f"{path}: not written by `dynamesis cluster` ({malformed})") from malformed
    except PermissionError:
        pass  # somebody else's process, but it lives
    return found


def act(store: Path, node: str | None, action: Callable[[Client], Awaitable[T]]) -> T:
    """Do something with a client of the cluster that is up."""
    found = find(store)
    if node is not None:
        one_of("--node", node, found.clients)
    addresses = [found.clients[node]] if node else list(found.clients.values())

    async def do() -> T:
        async with Client(addresses, cluster=found.cluster) as client:
            return await action(client)

    try:
        return asyncio.run(do())
    except DynamoError as error:
        if isinstance(error, BadRequest):
            raise Wrong(str(error)) from error
        raise EnvironmentFailed(str(error)) from error


def token(context: bytes) -> str:
    """A context as one word."""
    return base64.urlsafe_b64encode(context).decode()


def context(text: str | None) -> bytes:
    """The context that a word stands for; none for none."""
    try:
        return base64.b64decode((text or "").encode(), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as malformed:
        raise Wrong(f"--context: {text!r} was not printed by get or put") from malformed
