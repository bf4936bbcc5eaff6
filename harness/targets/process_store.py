"""One process a node, of any command line: started, watched, killed, paused, wiped.

A node is a process group: what a start script leaves running is killed and paused with it. Every
process is registered before it does anything, and tied to the harness, so that nothing is left
even where the harness itself is killed.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import subprocess
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import IO, Any

from dynamesis.checkers.history.op import Sibling, canonical
from dynamesis.harness.targets.capabilities import Capabilities
from dynamesis.harness.targets.diagnosis import elsewhere, keep, not_a_program, tail
from dynamesis.harness.targets.forming import command_of, form, in_target
from dynamesis.harness.targets.node_views import NodeViews, ProcessClocks
from dynamesis.harness.targets.process_members import ProcessMembers
from dynamesis.harness.targets.reports import DumpedSibling, DumpRow
from dynamesis.harness.targets.site import NodeSite, Site
from dynamesis.harness.targets.store_process import StoreProcess
from dynamesis.harness.targets.system import EnvironmentFailed, TargetMistake, described
from dynamesis.harness.targets.target import BuildContext, Target, connects

#: s between two questions whether a node is ready
_ASK_AGAIN = 0.05
#: s that a node which is started again may hold up other faults, whatever the machine does: a JVM
#: takes a minute, in which a cut or a pause that was to last a second would leave no majority
_HELD_UP = 3.0
#: s until what nodes have left running must have ended
_LEFT_ENDS = 5.0
#: s that one question whether a node is ready may take
_READY_ANSWER = 5.0
#: s that a method which is asked once all is quiet may take
_HOOK = 10.0
_COPY = "data.copy"
#: whether a node is ready
IsReady = Callable[[NodeSite], Awaitable[bool]]


def build_processes(target: Target, context: BuildContext) -> Capabilities:
    """The capabilities of a target whose nodes are processes on this machine."""
    store = ProcessStore(target, context)
    able = target.able
    members = store.members if "membership" in able else None
    return Capabilities(
        processes=store,
        clocks=store.clocks,
        pids=store.pids,
        started=store.started,
        membership=members,
        newcomers=members,
        views=NodeViews(target, context.site, store.members.version_of),
        data=store if "wipe" in able else None,
        quiet=store if "quiet" in able else None,
        versions=store if target.other is not None else None,
        dumps=store if "dumps" in able else None,
        decode=_decode if "dumps" in able else None,
        quiet_after=target.quiet_after,
    )


class ProcessStore:
    """The processes of a target: harness.targets.capabilities.Processes, DataFolders, Quiet,
    ReplicaDumps, Versions."""

    def __init__(self, target: Target, context: BuildContext) -> None:
        self.nodes = context.site.nodes
        self._target = target
        self._context = context
        self._processes: dict[str, StoreProcess] = {}
        #: nodes in the other version
        self._others: set[str] = set()
        #: nodes that have been started, and were not ready within _HELD_UP
        self._unready: set[str] = set()
        #: nodes that join: newcomers, and those that have left
        self._joined: set[str] = set()
        self.members = ProcessMembers(target, context.site, self)
        self.clocks: ProcessClocks | None = None
        if target.faketime is not None and "clocks" in target.able:
            self.clocks = ProcessClocks(target.faketime, context.site)

    @property
    def _site(self) -> Site:
        return self._context.site

    # ---- Processes

    async def start_all(self) -> None:
        for node in self.nodes:
            self._spawn(node)
        await asyncio.gather(*map(self._until_ready, self.nodes))
        await form(self._target, self._site, self._context.busy)

    async def start(self, node: str) -> None:
        """Start a node, and wait until it is ready, but no longer than faults may be held up: of
        one that takes longer, `started` sees to it in the end."""
        self._spawn(node)
        self._unready.add(node)
        # an upgrade takes the next node only once this one serves
        limit = _HELD_UP if self._target.other is None else None
        with suppress(TimeoutError):
            async with asyncio.timeout(limit):
                await self._until_ready(node)
                self._unready.discard(node)

    async def started(self) -> None:
        """Wait until every node is ready that was started and is not down again. Raises
        RuntimeError."""
        unready = [node for node in sorted(self._unready) if self.state(node) == "running"]
        self._unready.clear()
        await asyncio.gather(*map(self._until_ready, unready))

    async def stop(self, node: str) -> None:
        await self._process(node).stop(self._target.stop_limit)

    def pids(self) -> dict[str, int]:
        """The process of each node that runs."""
        live = {node: each for node, each in self._processes.items() if each.exit_code is None}
        return {node: process.pid for node, process in live.items()}

    async def admit(self, node: str) -> None:
        """Start a node that is to join, and wait until it listens: it serves once it is in."""
        self._joined.add(node)
        self._spawn(node)
        self.nodes = (*(each for each in self.nodes if each != node), node)
        await self._until_ready(node, connects)

    async def dismiss(self, node: str) -> None:
        """Stop a node that has left: it is not among `nodes` from now on."""
        self.nodes = tuple(each for each in self.nodes if each != node)
        await self.stop(node)

    async def stop_all(self) -> None:
        if self.clocks is not None:
            self.clocks.stop()
        limit = self._target.stop_limit
        await asyncio.gather(
            *(process.stop(limit) for process in self._processes.values()), return_exceptions=True
        )
        await self._end_left(self._site.folder)

    async def kill(self, node: str) -> int:
        process = self._process(node)
        await process.kill()
        await self._end_left(self._mark_of(node))
        return process.pid

    async def pause(self, node: str) -> bool:
        return await self._process(node).pause()

    async def resume(self, node: str) -> None:
        self._process(node).send(signal.SIGCONT)

    def state(self, node: str) -> str:
        process = self._processes.get(node)
        return "down" if process is None else process.state

    def exit_code(self, node: str) -> int | None:
        process = self._processes.get(node)
        return None if process is None else process.exit_code

    def last_words(self, node: str) -> str:
        return self._with_log(node, self._process(node).how_ended(self._left_elsewhere(node)))

    def collect(self, into: Path) -> None:
        for node in self._processes:
            log = self._site.node[node].log
            if log.exists():
                (into / node).mkdir(parents=True, exist_ok=True)
                keep(log, into / node / log.name)

    # ---- DataFolders

    async def wipe(self, node: str) -> None:
        data = self._data_of_dead(node)
        shutil.rmtree(data, ignore_errors=True)
        data.mkdir(parents=True, exist_ok=True)

    async def copy_data(self, node: str) -> None:
        data = self._data_of_dead(node)
        shutil.rmtree(data.with_name(_COPY), ignore_errors=True)
        shutil.copytree(data, data.with_name(_COPY), symlinks=True)

    async def restore_data(self, node: str) -> None:
        data = self._data_of_dead(node)
        if not data.with_name(_COPY).exists():
            raise RuntimeError(f"there is no copy of the data of {node}")
        shutil.rmtree(data, ignore_errors=True)
        shutil.copytree(data.with_name(_COPY), data, symlinks=True)

    # ---- Quiet

    async def at_rest(self) -> bool:
        ask: Callable[[Site], Awaitable[bool]] = self._target.at_rest  # type: ignore[attr-defined]
        answer: object = await self._asked("at_rest", ask(self._site))
        if answer is None:
            raise TargetMistake("at_rest returned None; it must return True or False")
        return bool(answer)

    # ---- ReplicaDumps

    async def dump(self, node: str) -> list[DumpRow]:
        ask: Callable[..., Awaitable[object]] = self._target.held  # type: ignore[attr-defined]
        held = await self._asked("held", ask(self._site.node[node], self._site))
        if not isinstance(held, Mapping):
            raise TypeError(f"held returned {held!r}; it must return a dict of key to value")
        return [
            DumpRow(key=str(key), siblings=(DumpedSibling(value=canonical(value)),))
            for key, value in held.items()
            if value is not None
        ]

    # ---- Versions

    @property
    def labels(self) -> tuple[str, str]:
        other = self._target.other
        return self._target.label, "" if other is None else other.label

    def version(self, node: str) -> str:
        return self._of(node).label

    def use(self, node: str, version: str) -> None:
        if self.state(node) != "down":
            raise RuntimeError(f"{node} is {self.state(node)}; it must be down for that")
        change = self._others.add if version == self.labels[1] else self._others.discard
        change(node)

    # ---- inside

    async def _asked(self, hook: str, answer: Awaitable[object]) -> object:
        """What a method of the target returns, if it does."""
        limit = max(_HOOK, self._target.op_limit) * max(1.0, self._context.busy())
        try:
            async with asyncio.timeout(limit):
                return await answer
        except TimeoutError as failure:
            raise TimeoutError(f"{hook} did not return within {limit:.0f} s") from failure
        except (NameError, SystemExit) as failure:
            raise TargetMistake(f"{hook}: {described(failure)}") from failure

    def _where(self, node: str) -> NodeSite:
        where = self._site.node[node]
        return replace(where, joins=True) if node in self._joined else where

    def _of(self, node: str) -> Target:
        """The target, in the version of a node."""
        other = self._target.other
        return self._target if other is None or node not in self._others else other

    def _data_of_dead(self, node: str) -> Path:
        if self.state(node) != "down":
            raise RuntimeError(f"{node} is {self.state(node)}; it must be down for that")
        return self._site.node[node].data

    def _spawn(self, node: str) -> None:
        if self.state(node) != "down":
            raise RuntimeError(f"{node} is {self.state(node)} already")
        where, context = self._where(node), self._context
        where.data.mkdir(parents=True, exist_ok=True)
        where.log.parent.mkdir(parents=True, exist_ok=True)
        command = command_of(self._of(node), where, self._site)
        argv = [str(each) for each in command.argv]
        program = shutil.which(argv[0], path=command.env.get("PATH"))
        if program is None:
            raise EnvironmentFailed(
                f"target {self._target.name}: {not_a_program(argv[0])}"
                + (f"; {self._target.install}" if self._target.install else "")
            )
        env = {**os.environ, **command.env}
        if context.mark:
            env[context.mark] = str(self._mark_of(node))
        exited = context.exited
        if self.clocks is not None and "start-clock" in context.starts:
            env |= self.clocks.environment(node, env)
            exited = self.clocks.ended(exited)
        env |= context.preload(node, env)
        with where.log.open("ab") as log:
            process = subprocess.Popen(
                context.tied([os.path.abspath(program), *argv[1:]]),
                **self._streams(log),
                env=env,
                cwd=where.data if command.cwd is None else command.cwd,
                start_new_session=True,
            )
        context.spawned(process.pid)
        self._processes[node] = StoreProcess(process, exited)
        self._begun(node, process)

    def _streams(self, log: IO[bytes]) -> dict[str, Any]:
        """What a process reads and writes, as arguments of Popen."""
        return {"stdin": subprocess.DEVNULL, "stdout": log, "stderr": log}

    def _begun(self, node: str, process: subprocess.Popen[bytes]) -> None:
        """Called once the process of a node runs."""

    async def _is_ready(self, where: NodeSite) -> bool:
        return await self._of(where.name).ready(where, self._site)

    def _end(self, node: str) -> None:
        """SIGKILL, without waiting for its end."""
        self._process(node).send(signal.SIGKILL)

    async def _until_ready(self, node: str, is_ready: IsReady | None = None) -> None:
        where, loop = self._where(node), asyncio.get_running_loop()
        is_ready = is_ready or self._is_ready
        left, asked, why = self._target.boot_limit, loop.time(), ""
        while True:
            if self.state(node) == "down":
                seen = partial(self._left_elsewhere, node)
                await self._process(node).until_left_shows(seen, self._context.busy())
                raise RuntimeError(f"node {node} {self.last_words(node)}")
            try:
                async with asyncio.timeout(_READY_ANSWER):
                    if await is_ready(where):
                        return
                why = ""
            except TargetMistake as mistake:
                raise in_target(self._target, "ready", mistake) from mistake
            except (NameError, SystemExit) as mistake:
                name = self._target.name
                raise TargetMistake(f"target {name}: ready: {described(mistake)}") from mistake
            except Exception as failure:
                why = f" ({described(failure)})"
            now = loop.time()
            left -= (now - asked) / max(1.0, self._context.busy())
            asked = now
            if left < 0:
                why = why or self._why_not(where)
                limit = f"was not ready within {self._target.boot_limit:g} s{why}"
                raise RuntimeError(self._not_ready(node, limit))
            await asyncio.sleep(_ASK_AGAIN)

    def _why_not(self, where: NodeSite) -> str:
        """Why a node is not ready that raised nothing."""
        if type(self._target).ready is Target.ready:
            return f" ({elsewhere(self._process(where.name).pid, where.address())})"
        return " (ready returned False)"

    def _left_elsewhere(self, node: str) -> Mapping[int, str]:
        """The daemons of a node: what it started that has left its group."""
        return self._context.left(str(self._mark_of(node)))

    def _mark_of(self, node: str) -> Path:
        return self._site.folder.resolve() / node

    async def _end_left(self, folder: Path) -> None:
        """Kill what nodes have left running outside their groups, and wait for its end."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + _LEFT_ENDS
        while (left := self._context.left(str(folder.resolve()))) and loop.time() < deadline:
            for pid in left:
                with suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, signal.SIGKILL)
            await asyncio.sleep(_ASK_AGAIN)

    def _not_ready(self, node: str, what: str) -> str:
        return f"node {node} {self._with_log(node, what)}"

    def _with_log(self, node: str, what: str) -> str:
        lines = tail(self._site.node[node])
        if not lines:
            return f"{what}; it logged nothing"
        return "\n  ".join([f"{what}; its last lines:", *lines])

    def _process(self, node: str) -> StoreProcess:
        if node not in self._processes:
            raise RuntimeError(f"{node} was never started")
        return self._processes[node]


def _decode(value: bytes, deleted: bool) -> Sibling:
    """A value that `held` returned; it is its own name."""
    return Sibling(value.decode(), json.loads(value), deleted)
