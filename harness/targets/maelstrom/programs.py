"""The programs under test: one process a node, its messages on pipes.

A program that is started, for the first time or again, gets `init`, and with workload broadcast
`topology`; it is ready once it has answered. One that prints anything else than messages is
killed: from then on nothing that it did could be judged, and its last words name what was wrong.
"""

from __future__ import annotations

import asyncio
import subprocess
from collections import defaultdict
from typing import IO, Any

from dynamesis.harness.targets.maelstrom.messages import (
    LONGEST,
    Body,
    BrokenProtocol,
    parse,
    too_long,
)
from dynamesis.harness.targets.maelstrom.router import Router
from dynamesis.harness.targets.process_store import ProcessStore
from dynamesis.harness.targets.site import NodeSite
from dynamesis.harness.targets.target import BuildContext, Target

#: bytes that may wait for a program that does not read; what comes beyond them is lost
_WAITING = 64 << 20
#: s that a program may take to answer one question of the harness
_ANSWER = 2.0
#: The exit code of a program that was killed because of what it printed: as of one that failed
#: by itself (EX_SOFTWARE).
BROKEN = 70


class Programs(ProcessStore):
    """The processes of a test. `greetings`: what each is sent at its start, in this order, after
    `init`; `read`: what asks a node for all that it knows, where that is to become stable."""

    def __init__(
        self, target: Target, context: BuildContext, router: Router, greetings: tuple[Body, ...]
    ) -> None:
        super().__init__(target, context)
        self._router = router
        self._greetings = greetings
        self._broken: dict[str, str] = {}
        self._unanswered: dict[str, str] = defaultdict(str)
        self._greeted: dict[str, asyncio.Task[str | None]] = {}
        self._reading: dict[str, asyncio.Task[None]] = {}

    # ---- Processes

    async def start_all(self) -> None:
        for node in self.nodes:
            await self._router.listen(node, self._site.node[node].address())
        await super().start_all()

    async def stop_all(self) -> None:
        await self._router.close()
        tasks = [*self._greeted.values(), *self._reading.values()]
        for task in tasks:
            task.cancel()
        await super().stop_all()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def kill(self, node: str) -> int:
        pid = await super().kill(node)
        self._router.detach(node)
        return pid

    def exit_code(self, node: str) -> int | None:
        code = super().exit_code(node)
        return code if code is None or node not in self._broken else BROKEN

    def last_words(self, node: str) -> str:
        return self._broken.get(node) or super().last_words(node)

    def break_off(self, node: str, why: str) -> None:
        """Kill a program because of what it printed."""
        if node not in self._broken and self.state(node) != "down":
            self._broken[node] = why
            self._router.detach(node)
            self._end(node)

    # ---- ProcessStore

    def _streams(self, log: IO[bytes]) -> dict[str, Any]:
        return {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": log}

    def _begun(self, node: str, process: subprocess.Popen[bytes]) -> None:
        self._broken.pop(node, None)
        if (before := self._greeted.pop(node, None)) is not None:
            before.cancel()
        self._reading[node] = asyncio.create_task(self._talk(node, process))

    async def _is_ready(self, where: NodeSite) -> bool:
        greeted = self._greeted.get(where.name)
        if greeted is None or not greeted.done():
            return False
        if (wrong := greeted.result()) is not None:
            self.break_off(where.name, wrong)
        return wrong is None

    def _not_ready(self, node: str, what: str) -> str:
        if node in self._broken:
            return self._broken[node]
        asked = self._unanswered[node]
        unanswered = f" ({asked} was not answered)" if asked else ""
        return super()._not_ready(node, what + unanswered)

    # ---- inside

    async def _greet(self, node: str, init: Body, asked: asyncio.Future[Body]) -> str | None:
        """Wait for the answer to `init`, and send the rest; what was wrong with an answer."""
        for body in (init, *self._greetings):
            self._unanswered[node] = str(body["type"])
            answer = await (asked if body is init else self._router.post(node, body))
            self._unanswered[node], kind = "", f"{body['type']}_ok"
            if answer.get("type") != kind:
                return f"{node} answered {body['type']} by {answer!r}; right is type {kind!r}"
        return None

    async def ask(self, node: str, body: Body) -> Body | None:
        """A node's answer; None if it is not there, or does not answer in time."""
        if self.state(node) != "running":
            return None
        try:
            async with asyncio.timeout(_ANSWER * self._context.busy()):
                return await self._router.post(node, body)
        except TimeoutError:
            return None

    async def _talk(self, node: str, process: subprocess.Popen[bytes]) -> None:
        """Hand the node what is for it, and carry what it prints, until it ends."""
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader(limit=LONGEST)
        incoming, _ = await loop.connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), process.stdout
        )
        outgoing, _ = await loop.connect_write_pipe(asyncio.BaseProtocol, process.stdin)

        def inbox(line: bytes) -> None:
            if outgoing.get_write_buffer_size() + len(line) <= _WAITING:
                outgoing.write(line)

        self._router.attach(node, inbox)
        init = {"type": "init", "node_id": node, "node_ids": list(self.nodes)}
        asked = self._router.post(node, init)  # before anything else can come
        self._greeted[node] = asyncio.create_task(self._greet(node, init, asked))
        try:
            await self._listen(node, reader)
        except BrokenProtocol as broken:
            self.break_off(node, str(broken))
        finally:
            self._router.detach(node, inbox)
            outgoing.abort()
            incoming.close()

    async def _listen(self, node: str, reader: asyncio.StreamReader) -> None:
        router = self._router
        while True:
            try:
                line = await reader.readuntil(b"\n")
            except asyncio.IncompleteReadError as last:
                if last.partial.strip() and self.state(node) != "down":
                    parse(last.partial, node, router.known, router.client)
                return
            except asyncio.LimitOverrunError as endless:
                raise too_long(node, await reader.read(min(endless.consumed, 4096))) from endless
            router.send(parse(line, node, router.known, router.client))
