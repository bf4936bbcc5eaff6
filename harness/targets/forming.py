"""What a cluster needs from the code of its target: the command lines of its nodes, and once all
nodes are ready, that it is formed and that clients can be opened.

A node listens before it has found its peers: a schema that is made then, or a client that is
opened, is refused by a store that needs a leader first. Both are tried again within the target's
`boot_limit`, so that the load begins when the store serves. What is a mistake in the code is
reported immediately, with its line.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import suppress
from inspect import iscoroutinefunction, isgeneratorfunction
from pathlib import Path

from dynamesis.harness.targets.client import BlockingClient, Client
from dynamesis.harness.targets.site import NodeSite, Site
from dynamesis.harness.targets.system import (
    EnvironmentFailed,
    TargetMistake,
    described,
)
from dynamesis.harness.targets.target import Command, Target

#: s between two tries, and that closing a client may take
_AGAIN = 0.2
_CLOSE = 2.0
#: clients that are made at least: each thread needs its own
_CLIENTS = 2
#: what no state of a store makes right; and what one may raise that has not formed yet, where an
#: answer lacks something, but hardly for so many seconds
_NEVER_RIGHT = (NameError, NotImplementedError, ImportError, SystemExit)
_DOUBTFUL, _DOUBTFUL_S = (TypeError, AttributeError, LookupError), 5.0


def command_of(target: Target, node: NodeSite, site: Site) -> Command:
    """How to start this node. Raises TargetMistake, with its line, where `command` raises or
    returns anything else."""
    try:
        command: object = target.command(node, site)
    except (EnvironmentFailed, TargetMistake, OSError):
        raise
    except (Exception, SystemExit) as failure:
        raise TargetMistake(f"target {target.name}: command: {described(failure)}") from failure
    if not isinstance(command, Command):
        raise TargetMistake(
            f"target {target.name}: command returned {command!r}; "
            "it must return Command([program, argument, ...])"
        )
    if wrong := _wrong_command(command):
        raise TargetMistake(f"target {target.name}: command returned {command!r}; {wrong}")
    return command


def _wrong_command(command: Command) -> str | None:
    """What would be right of a command that no process can be started by."""
    argv, env = command.argv, command.env
    if isinstance(argv, str) or not argv:
        return "argv must be a list of words, such as Command(shlex.split(line))"
    words = [*argv, *env.items()] if isinstance(env, Mapping) else argv
    if any(not isinstance(word, str | int | float | os.PathLike) for word in argv):
        return "each word of argv must be a string, a number or a path"
    if not isinstance(env, Mapping) or any(
        not isinstance(each, str) for pair in env.items() for each in pair
    ):
        return "env must be a dict of strings to strings"
    if any("\0" in str(word) for word in words):
        return "no word may hold a null character"
    if command.cwd is not None and not Path(command.cwd).is_dir():
        return f"cwd: there is no folder {command.cwd}"
    return None


async def form(target: Target, site: Site, busy: Callable[[], float]) -> None:
    """Prepare the store, and see that a client of each node can be opened, and more than one.
    Raises TargetMistake; RuntimeError where it has not come about within `boot_limit` s, `busy`
    times as long on a busy machine."""
    await _until_done(target, "prepare", lambda: target.prepare(site), busy)
    made: list[object] = []
    for number in range(max(_CLIENTS, len(site.nodes))):
        await _until_done(target, "client", lambda n=number: _opened(target, site, n, made), busy)  # type: ignore[misc]


async def _opened(target: Target, site: Site, number: int, made: list[object]) -> None:
    """Make the client of this number, open it, and close it. `made`: all that were made."""
    client: object = target.client(site)
    if not isinstance(client, Client):
        raise TargetMistake(
            f"target {target.name}: client returned {client!r}; it must return a Client"
        )
    if any(client is each for each in made):
        raise TargetMistake(
            f"target {target.name}: client returned the same {type(client).__name__} twice; "
            "it must make a new one for each thread"
        )
    made.append(client)
    if wrong := "; ".join(_wrong_methods(type(client))):
        raise TargetMistake(f"target {target.name}: client: {wrong}")
    client.thread = number
    addresses = {node: "{}:{}".format(*site.client(node)) for node in site.nodes}
    try:
        async with asyncio.timeout(target.op_limit):
            await client.open(addresses)
    finally:
        with suppress(Exception):
            async with asyncio.timeout(_CLOSE):
                await client.close()


def _wrong_methods(kind: type[Client]) -> Iterator[str]:
    """What is wrong with the methods of a client, each as a clause with what is right."""
    blocks = issubclass(kind, BlockingClient)
    if not blocks and kind.invoke is Client.invoke:
        yield f"{kind.__name__} has no invoke: `async def invoke(self, op)`"
    elif blocks and kind.perform is BlockingClient.perform and _is_ours(kind.invoke):  # type: ignore[attr-defined]
        yield f"{kind.__name__} has no perform: `def perform(self, op)`"
    for name in ("open", "invoke", "close"):
        if not iscoroutinefunction(getattr(kind, name)):
            yield f"{kind.__name__}.{name} must be async: `async def {name}(...)`"
    for name in ("connect", "perform", "disconnect") if blocks else ():
        method = getattr(kind, name)
        if iscoroutinefunction(method) or isgeneratorfunction(method):
            yield f"{kind.__name__}.{name} must be a plain method that returns, not async"


def _is_ours(method: Callable[..., object]) -> bool:
    return method.__module__.startswith("dynamesis.")


async def _until_done(
    target: Target, what: str, attempt: Callable[[], Awaitable[None]], busy: Callable[[], float]
) -> None:
    loop = asyncio.get_running_loop()
    began, first = loop.time(), ""
    while True:
        try:
            async with asyncio.timeout(target.boot_limit * max(1.0, busy())):
                return await attempt()
        except EnvironmentFailed:
            raise
        except TargetMistake as mistake:
            raise in_target(target, what, mistake) from mistake
        except (Exception, SystemExit) as failure:
            last, passed = described(failure), (loop.time() - began) / max(1.0, busy())
            first = first or last
            if isinstance(failure, _NEVER_RIGHT) or (
                isinstance(failure, _DOUBTFUL) and passed > _DOUBTFUL_S
            ):
                raise TargetMistake(f"target {target.name}: {what}: {last}") from failure
            if passed > target.boot_limit:
                limit = f"within {target.boot_limit:g} s"
                raise RuntimeError(_gave_up(target, what, limit, first, last)) from failure
        await asyncio.sleep(_AGAIN)


def in_target(target: Target, what: str, mistake: TargetMistake) -> TargetMistake:
    """The same, with the target and its method before it."""
    text = str(mistake)
    named = text.startswith(f"target {target.name}: ")
    return mistake if named else TargetMistake(f"target {target.name}: {what}: {text}")


def _gave_up(target: Target, what: str, limit: str, first: str, last: str) -> str:
    done = {"prepare": "could not prepare", "client": "takes no client"}[what]
    before = "" if first == last else f" (at first {first})"
    return f"target {target.name} {done} {limit}: {last}{before}"
