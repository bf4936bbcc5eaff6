"""Performs operations with the client of a target, whatever that client does.

What a client of a user's own gets wrong must not cost a verdict: one that raises, or does not
come back in time, leaves an operation of unknown effect (a failed one, if it only reads), and is
replaced.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from math import isfinite
from pathlib import Path
from typing import Any

import msgspec
from dynamesis.checkers.history.op import Op
from dynamesis.harness.processes.patience import stretch
from dynamesis.harness.targets.client import Client, fail, unknown
from dynamesis.harness.targets.site import load
from dynamesis.harness.targets.system import MISTAKES, described
from dynamesis.harness.targets.target import Target

log = logging.getLogger(__name__)
_DECODER = msgspec.json.Decoder(Op)

#: Operations that change nothing, whatever becomes of them.
READS = frozenset({"read", "get", "dump"})
#: s that a client may take to close
_CLOSE = 2.0


class TargetPerformer:
    """Performs the operations of one thread: a harness.run.drivers.Performer. `site`: the file
    in which the addresses of the nodes are, once they have started."""

    def __init__(self, target: Target, site: Path, number: int) -> None:
        self._target = target
        self._site = site
        self._number = number
        self._client: Client | None = None
        self._addresses: dict[str, str] = {}
        self._opened = False

    async def open(self, addresses: Mapping[str, str]) -> None:
        self._addresses = dict(addresses)
        self._opened = False

    async def invoke(self, op: Op) -> Op:
        limit = self._target.op_limit * stretch()
        try:
            async with asyncio.timeout(limit):
                client = await self._ready()
        except BaseException as failure:
            if _ends_us(failure):
                raise
            if isinstance(failure, MISTAKES):
                log.warning("the client of process %s cannot be made", op.process, exc_info=True)
            await self._drop()
            return fail(op, "unreachable", described(failure))
        try:
            async with asyncio.timeout(limit):
                completion = await client.invoke(op)
            return checked(op, completion)
        except TimeoutError:
            await self._drop()
            return _doubtful(op, "timeout", f"no answer within {limit:g} s")
        except BaseException as failure:
            if _ends_us(failure):
                raise
            await self._drop()
            return broken(op, failure)

    def recorded(self, index: int) -> None:
        if self._client is not None:
            self._client.recorded(index)

    async def close(self) -> None:
        await self._drop()

    async def _ready(self) -> Client:
        """The client, open to the nodes as they are now."""
        if self._client is None:
            self._client = self._target.client(load(self._site))
            self._client.thread = self._number
            self._opened = False
        if not self._opened:
            await self._client.open(self._addresses)
            self._opened = True
        return self._client

    async def _drop(self) -> None:
        """The next operation is another client's."""
        client, self._client = self._client, None
        if client is not None:
            try:
                async with asyncio.timeout(_CLOSE):
                    await client.close()
            except BaseException as failure:
                if _ends_us(failure):
                    raise
                log.info("the client of thread %s would not close: %s", self._number, failure)


def checked(op: Op, completion: object) -> Op:
    """`completion`, where it is one of `op` that can be written into a history. Raises TypeError
    with what is wrong: it is what a user's code returned."""
    if not isinstance(completion, Op) or completion.type not in ("ok", "fail", "info"):
        raise TypeError(f"invoke returned {completion!r}, and no completion")
    for name in ("process", "f", "key"):
        if (found := getattr(completion, name)) != (asked := getattr(op, name)):
            what = f"the completion of another operation: {name} is {found!r}, not {asked!r}"
            raise TypeError(f"invoke returned {what}; make it by ok(op, ...) and the like")
    try:
        _DECODER.decode(msgspec.json.encode(completion))
    except (TypeError, ValueError, ArithmeticError, RecursionError, msgspec.MsgspecError) as wrong:
        raise TypeError(f"invoke returned what no history can hold: {wrong}") from wrong
    if (odd := _not_json(completion.value)) is not None:
        raise TypeError(f"invoke returned the value {odd!r}: no JSON has that; decode it first")
    return completion


def _not_json(value: object) -> object | None:
    """What JSON would silently make something else of: bytes, and numbers that are none."""
    if isinstance(value, bytes | bytearray | memoryview):
        return value
    if isinstance(value, float) and not isfinite(value):
        return value
    if isinstance(value, Mapping):
        value = [*value, *value.values()]
    if isinstance(value, list | tuple | set | frozenset):
        return next((odd for each in value if (odd := _not_json(each)) is not None), None)
    return None


def _ends_us(failure: BaseException) -> bool:
    """Whether it is not the client's: this task was cancelled from outside, or is collected. What
    a client raises, be it SystemExit, must end nothing but its operation."""
    if isinstance(failure, asyncio.CancelledError):
        task = asyncio.current_task()
        return task is not None and task.cancelling() > 0
    return isinstance(failure, GeneratorExit)


def only_reads(op: Op) -> bool:
    """Whether an operation changes nothing."""
    if op.f == "txn" and isinstance(op.value, list):
        return all(_is_read(step) for step in op.value)
    return op.f in READS


def _is_read(step: Any) -> bool:
    return isinstance(step, list | tuple) and len(step) > 0 and step[0] == "r"


def broken(op: Op, failure: BaseException) -> Op:
    """The completion of an operation whose client raised this."""
    own = not isinstance(failure, OSError)  # a broken connection explains itself
    log.warning("the client of process %s: %r", op.process, failure, exc_info=own and failure)
    return _doubtful(op, "client-broke", described(failure))


def _doubtful(op: Op, code: str, message: str) -> Op:
    return (fail if only_reads(op) else unknown)(op, code, message)
