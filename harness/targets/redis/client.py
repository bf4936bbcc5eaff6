"""A client of Redis that finds the primary as its documentation has it: ask the Sentinels, connect,
and verify by ROLE (redis.io, "Guidelines for Redis clients with support for Redis Sentinel").

It stays with a primary until that refuses or the connection ends. An operation without an answer
is in doubt, and so is a write that too few replicas have acknowledged (`wait`): it is on the
primary, and may stay there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from dynamesis.checkers.history.op import Op
from dynamesis.harness.targets.client import Client, fail, ok, unknown
from dynamesis.harness.targets.redis.commands import RedisRequest, request
from dynamesis.harness.targets.redis.resp import RedisError, Reply, Resp
from dynamesis.harness.targets.site import CLIENT_PORT, Site

#: The name under which the Sentinels watch the primary, and the port of a node's.
MASTER, SENTINEL = "dynamesis", "sentinel"
#: s to find the primary in all, to ask one Sentinel, and that the primary may take to answer
_FIND, _ASK, _ANSWER = 3.0, 0.5, 2.0
#: s between two rounds of questions
_AGAIN = 0.1
#: ms that WAIT waits
_WAIT_MS = 1000
#: What Redis answers to a command that it has not carried out, since this node may not.
_NOT_HERE = frozenset({"READONLY", "MASTERDOWN", "LOADING", "NOREPLICAS", "MISCONF"})


class NoPrimary(Exception):
    """No primary was found that takes commands."""


class RedisClient(Client):
    """`wait`: how many replicas must have a write before it counts as done; `alone`: there is one
    node, and no Sentinel."""

    def __init__(self, site: Site, wait: int, alone: bool) -> None:
        self._site = site
        self._wait = wait
        self._alone = alone
        self._connection: Resp | None = None
        self._node: str | None = None

    async def open(self, addresses: Mapping[str, str]) -> None:
        """It finds its way by the site."""

    async def invoke(self, op: Op) -> Op:
        wanted = request(op, self._site.model)
        try:
            async with asyncio.timeout(_FIND):
                primary = await self._primary()
        except (NoPrimary, OSError, EOFError, TimeoutError, RedisError) as failure:
            self._drop()
            return fail(op, "no-primary", f"{type(failure).__name__}: {failure}")
        try:
            async with asyncio.timeout(_ANSWER):
                replies = await _carried_out(primary, wanted)
                return await self._completed(op, wanted, replies, primary)
        except RedisError as refusal:
            if refusal.code in _NOT_HERE or refusal.code == "EXECABORT":
                self._drop()
            return fail(op, refusal.code.lower(), str(refusal), self._node)
        except (OSError, EOFError, TimeoutError) as failure:
            node = self._node
            self._drop()
            doubtful = fail if wanted.reads_only else unknown
            return doubtful(op, "no-answer", f"{type(failure).__name__}: {failure}", node)

    async def close(self) -> None:
        self._drop()

    async def _completed(
        self, op: Op, wanted: RedisRequest, replies: list[Reply], primary: Resp
    ) -> Op:
        why = wanted.refused(replies) if wanted.refused else None
        if why is not None:
            return fail(op, *why, self._node)
        if self._wait and not wanted.reads_only:
            have = await primary("WAIT", self._wait, _WAIT_MS)
            if have < self._wait:
                return unknown(op, "too-few-replicas", f"{have} of {self._wait}", self._node)
        if wanted.value is None:
            return ok(op, node=self._node)
        return ok(op, wanted.value(replies), self._node)

    async def _primary(self) -> Resp:
        """A connection to the node that is the primary as far as known."""
        if self._connection is not None and self._connection.open:
            return self._connection
        self._drop()
        while True:
            node = self._site.nodes[0] if self._alone else await self._named()
            if node is not None:
                connection = await self._connected(node)
                if connection is not None:
                    self._connection, self._node = connection, node
                    return connection
            await asyncio.sleep(_AGAIN)

    async def _named(self) -> str | None:
        """The node that the first Sentinel that answers calls the primary; each client begins
        with another one."""
        nodes = self._site.nodes
        known = {self._site.advertised(node, CLIENT_PORT): node for node in nodes}
        for step in range(len(nodes)):
            sentinel = nodes[(self.thread + step) % len(nodes)]
            try:
                async with asyncio.timeout(_ASK):
                    asked = await Resp.dial(*self._site.client(sentinel, SENTINEL))
                    try:
                        found = await asked("SENTINEL", "GET-MASTER-ADDR-BY-NAME", MASTER)
                    finally:
                        asked.close()
            except (OSError, EOFError, TimeoutError, RedisError):
                continue
            if found is not None:
                return known.get((found[0], int(found[1])))
        return None

    async def _connected(self, node: str) -> Resp | None:
        """A connection to this node, if it is a primary and answers."""
        try:
            async with asyncio.timeout(_ASK):
                connection = await Resp.dial(*self._site.client(node))
                try:
                    if (await connection("ROLE"))[0] == "master":
                        return connection
                except BaseException:
                    connection.close()
                    raise
                connection.close()
        except (OSError, EOFError, TimeoutError, RedisError):
            pass
        return None

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()


async def _carried_out(primary: Resp, wanted: RedisRequest) -> list[Reply]:
    if len(wanted.commands) == 1:
        return [await primary(*wanted.commands[0])]
    return await primary.together(wanted.commands)
