"""The nodes of a cluster that runs already, moved by commands of their owner.

Nothing is stopped that was not started here: what ran at the beginning runs at the end, what was
down and was started is stopped again. Whether a node runs is what its `state` command answers (its
last line: running, paused or down; without such a line, exit code 0 is running), or else whether
its client port takes connections.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from dynamesis.harness.targets.adopted.cluster_file import AdoptedCluster

#: s between two looks at a node
_LOOK = 0.5
#: s that a node may take to be what a command has made of it, where the file's limit is not longer;
#: and how many times that on a busy machine: most of these nodes run on other ones
_SETTLE, _MOST = 30.0, 2.0
#: s that a connection may take
_CONNECT = 2.0
#: bytes of a command's output in which the last line is looked for
_TAIL = 4096
_STATES = ("running", "paused", "down")


class AdoptedProcesses:
    """Implements harness.targets.target.Processes. `folder`: for the logs of the commands;
    `busy`: how many times as long as usual everything may take now."""

    def __init__(
        self, cluster: AdoptedCluster, folder: Path, busy: Callable[[], float] = lambda: 1.0
    ) -> None:
        self.nodes = tuple(cluster.nodes)
        self._cluster = cluster
        self._folder = folder
        self._busy = busy
        self._states: dict[str, str] = {}
        self._found: dict[str, str] = {}
        self._paused: set[str] = set()
        self._watch: asyncio.Task[None] | None = None

    async def start_all(self) -> None:
        """Look at every node, and start those that are down, if there is a command for it. Raises
        RuntimeError."""
        self._folder.mkdir(parents=True, exist_ok=True)
        await asyncio.gather(*map(self._look, self.nodes))
        self._found = dict(self._states)
        paused = [node for node in self.nodes if self._states[node] == "paused"]
        if paused:
            raise RuntimeError(f"paused before the test began: {', '.join(paused)}; resume them")
        down = [node for node in self.nodes if self._states[node] == "down"]
        for node in down:
            entry = self._cluster.nodes[node]
            if "start" not in entry.commands:
                raise RuntimeError(
                    f"{node} ({entry.client}) does not run, and the cluster's file has no command "
                    "to start it; start it, or give one"
                )
        await asyncio.gather(*map(self.start, down))
        self._watch = asyncio.create_task(self._look_on())

    async def start(self, node: str) -> None:
        if await self._look(node) == "down":
            await self._run(node, "start")
            try:
                await self._until(node, "running", serves=True)
            except RuntimeError as failure:
                raise RuntimeError(f"{failure}; {self._way_out(node)}") from failure

    async def stop(self, node: str) -> None:
        if await self._look(node) != "down":
            await self._run(node, "stop")
            await self._until(node, "down")

    async def stop_all(self) -> None:
        """Leave every node as it was found."""
        watch, self._watch = self._watch, None
        if watch is not None:
            watch.cancel()
            await asyncio.gather(watch, return_exceptions=True)
        found, self._found = self._found, {}
        await asyncio.gather(*(self._put_back(*each) for each in found.items()))

    async def kill(self, node: str) -> int:
        """The owner's command, and a look that the node is gone. Its pid is not known: 0."""
        await self._run(node, "kill")
        self._paused.discard(node)
        await self._until(node, "down")
        return 0

    async def pause(self, node: str) -> bool:
        await self._run(node, "pause")
        self._paused.add(node)
        if "state" in self._cluster.nodes[node].commands:
            return await self._look(node) == "paused"
        self._states[node] = "paused"
        return True

    async def resume(self, node: str) -> None:
        if node in self._paused or self._states.get(node) == "paused":
            await self._run(node, "resume")
            self._paused.discard(node)
            await self._until(node, "running")

    def state(self, node: str) -> str:
        return self._states.get(node, "down")

    def exit_code(self, node: str) -> int | None:
        """Not known of a process that is not ours."""
        return None

    def last_words(self, node: str) -> str:
        seen = f"{node} ({self._cluster.nodes[node].client}) is {self.state(node)}"
        last = _last_line(self._log(node))
        return f"{seen}; the last line of its commands: {last}" if last else seen

    def collect(self, into: Path) -> None:
        for node in self.nodes:
            if self._log(node).exists():
                (into / node).mkdir(parents=True, exist_ok=True)
                shutil.copy(self._log(node), into / node)

    async def _put_back(self, node: str, was: str) -> None:
        with suppress(RuntimeError):
            await self.resume(node)
        with suppress(RuntimeError):
            await (self.start(node) if was == "running" else self.stop(node))

    async def _look_on(self) -> None:
        while True:
            await asyncio.gather(*map(self._look, self.nodes))
            await asyncio.sleep(_LOOK)

    async def _look(self, node: str) -> str:
        """What the node is now."""
        if "state" in self._cluster.nodes[node].commands:
            code, last = await self._shell(node, "state")
            seen = last if last in _STATES else ("running" if code == 0 else "down")
        elif node in self._paused:
            seen = "paused"  # its port still takes connections
        else:
            seen = "running" if await _connects(self._cluster.nodes[node].client) else "down"
        self._states[node] = seen
        return seen

    async def _until(self, node: str, wanted: str, serves: bool = False) -> None:
        """Wait until the node is so, and takes connections of clients if it `serves`. Raises
        RuntimeError when that does not come about."""
        client = self._cluster.nodes[node].client
        limit = max(_SETTLE, self._cluster.limit) * min(_MOST, max(1.0, self._busy()))
        try:
            async with asyncio.timeout(limit):
                while await self._look(node) != wanted or (serves and not await _connects(client)):
                    await asyncio.sleep(0.05)
        except TimeoutError:
            raise RuntimeError(
                f"{node} is {self.state(node)} and not {wanted} {limit:.0f} s after its command; "
                f"the last line of its commands: {_last_line(self._log(node)) or '(none)'}"
            ) from None

    def _way_out(self, node: str) -> str:
        entry = self._cluster.nodes[node]
        by = "by its state command" if "state" in entry.commands else f"at {entry.client}"
        return (
            f"start it by hand (`{entry.commands['start']}` did not), correct `start`, or where it "
            f"is looked for ({by}), in the cluster's file, or give it longer there (limit)"
        )

    async def _run(self, node: str, action: str) -> None:
        """Run the owner's command. Raises RuntimeError that has it, and its last line."""
        command = self._cluster.nodes[node].commands.get(action)
        if command is None:
            raise RuntimeError(f"{node} has no command for {action} in the cluster's file")
        code, last = await self._shell(node, action)
        if code != 0:
            slow = f"took longer than {self._cluster.limit:g} s"
            how = slow if code is None else f"ended with exit code {code}"
            raise RuntimeError(f"{node}: `{command}` {how}: {last or '(no output)'}")

    async def _shell(self, node: str, action: str) -> tuple[int | None, str]:
        """Exit code and last line of a command. Its output goes to a file: what it leaves running
        may keep it open."""
        command = self._cluster.nodes[node].commands[action]
        output = self._folder / f"{node}-{action}.log"
        with output.open("wb") as into:
            process = await asyncio.create_subprocess_shell(
                command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=into,
                stderr=into,
                start_new_session=True,
            )
        try:
            async with asyncio.timeout(self._cluster.limit):
                code: int | None = await process.wait()
        except TimeoutError:
            code = None
            _end(process)
            await process.wait()
        except asyncio.CancelledError:
            _end(process)
            raise
        last = _last_line(output)
        if action != "state":
            with self._log(node).open("a", encoding="utf-8") as log:
                log.write(f"$ {command}\n{last}\n" if last else f"$ {command}\n")
        return code, last

    def _log(self, node: str) -> Path:
        return self._folder / f"{node}-commands.log"


def _end(process: asyncio.subprocess.Process) -> None:
    """The command, and what it waits for."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)


async def _connects(address: str) -> bool:
    host, _, port = address.rpartition(":")
    try:
        async with asyncio.timeout(_CONNECT):
            _, writer = await asyncio.open_connection(host, int(port))
    except (OSError, TimeoutError):
        return False
    writer.close()
    return True


def _last_line(path: Path) -> str:
    """The last line with something in it."""
    if not path.exists():
        return ""
    with path.open("rb") as content:
        content.seek(max(0, path.stat().st_size - _TAIL))
        lines = content.read().decode("utf-8", "replace").split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), "")
