"""A local cluster that is kept up, and how the other commands find it.

`dynamesis cluster` writes the nodes' addresses into a file of the store; `get`, `put`,
`delete` and `status` read it there.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from ssl import SSLContext
from typing import Any, TypeVar

from dynamesis.cluster.client.admin import AdminClient, AdminError
from dynamesis.cluster.client.client import Client
from dynamesis.cluster.config.config import write_private
from dynamesis.cluster.config.tls import client_context
from dynamesis.cluster.net.exceptions import BadRequest, DynamoError
from dynamesis.harness.targets.system import EnvironmentFailed
from dynamesis.harness.usage.exits import UsageError
from dynamesis.harness.usage.values import one_of

STATE = "cluster.json"

T = TypeVar("T")


@dataclass(frozen=True)
class LocalCluster:
    """The addresses of a local cluster, node id -> host:port."""

    pid: int
    cluster: str
    clients: dict[str, str]
    admins: dict[str, str]
    #: what administrators must know; only the owner of the file may read it
    secret: str
    #: the file of the authority that signed the nodes' certificates, if they have any
    authority: str | None = None

    @property
    def tls(self) -> SSLContext | None:
        """How to check the nodes' certificates. Raises EnvironmentFailed."""
        try:
            return None if self.authority is None else client_context(Path(self.authority))
        except OSError as failure:
            raise EnvironmentFailed(str(failure)) from failure

    def save(self, store: Path) -> Path:
        """Let the other commands find it."""
        store.mkdir(parents=True, exist_ok=True)
        path = store / STATE
        write_private(path, json.dumps(asdict(self), indent=2).encode() + b"\n")
        return path


def find(store: Path) -> LocalCluster:
    """Raises EnvironmentFailed when no cluster is up."""
    path = store / STATE
    found = up(path)
    if found is None:
        raise EnvironmentFailed(
            f"no cluster is up ({path}); start one in another terminal with: dynamesis cluster"
        )
    return found


def up(path: Path) -> LocalCluster | None:
    """The cluster of this state file; None if it is not up (any more)."""
    try:
        found = LocalCluster(**json.loads(path.read_text(encoding="utf-8")))
        os.kill(found.pid, 0)
    except (FileNotFoundError, ProcessLookupError):
        return None
    except (ValueError, TypeError, RecursionError) as malformed:
        raise UsageError(
            f"{path}: not written by `dynamesis cluster` ({malformed}); "
            "remove it, or name another --store"
        ) from malformed
    except PermissionError:
        pass  # another user's process, but it lives
    return found


def act(store: Path, node: str | None, action: Callable[[Client], Awaitable[T]]) -> T:
    """Do something with a client of the cluster that is up."""
    found = find(store)
    if node is not None:
        one_of("--node", node, found.clients)
    addresses = [found.clients[node]] if node else list(found.clients.values())

    async def do() -> T:
        async with Client(addresses, cluster=found.cluster, tls=found.tls) as client:
            return await action(client)

    try:
        return asyncio.run(do())
    except DynamoError as error:
        if isinstance(error, BadRequest):
            raise UsageError(str(error)) from error
        raise EnvironmentFailed(str(error)) from error


async def ask_all(found: LocalCluster, command: str, **args: Any) -> dict[str, Any]:
    """node -> its answer to a command of the admin port; None where there is none, and the
    error as text where it refuses."""
    answers: dict[str, Any] = {}
    tls = found.tls
    for node, address in found.admins.items():
        try:
            async with AdminClient(address, secret=found.secret, tls=tls) as admin:
                answers[node] = await admin.ask(command, **args)
        except DynamoError:
            answers[node] = None
        except AdminError as refused:
            answers[node] = str(refused)
    return answers


def change(store: Path, kind: str, node: str) -> None:
    """Ask the members that answer to have `node` join, leave, or be removed."""
    found = find(store)
    one_of("NODE", node, found.admins)
    answers = {
        asked: answer
        for asked, answer in asyncio.run(_ask_first(found, kind, node)).items()
        if answer is not None
    }
    if not answers:
        raise EnvironmentFailed(
            "no member of the cluster answers; dynamesis status shows each, and "
            "dynamesis cluster starts another"
        )
    asked, answer = answers.popitem()
    if isinstance(answer, str):
        raise UsageError(f"NODE: {answer}; dynamesis status shows the members")
    print(f"{kind} {node}: {asked} has passed it on; dynamesis status shows how far it is")


async def _ask_first(found: LocalCluster, kind: str, node: str) -> dict[str, Any]:
    """Ask one after another until one that is a member has answered."""
    answers: dict[str, Any] = {}
    for asked, address in found.admins.items():
        one = replace(found, admins={asked: address})
        status = (await ask_all(one, "status"))[asked]
        if asked != node and isinstance(status, dict) and status["membership"] is not None:
            answers = await ask_all(one, kind, node=node)
            if answers[asked] is not None:
                break
    return answers


def token(context: bytes) -> str:
    """A context as one word."""
    return context.hex()


def context(text: str | None) -> bytes:
    """The context of a word; empty for none."""
    try:
        return bytes.fromhex(text or "")
    except ValueError as malformed:
        raise UsageError(
            f"--context: {text!r} was not printed by get or put; copy it from dynamesis get KEY"
        ) from malformed
