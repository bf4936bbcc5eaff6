"""The client of a store under test, and what its writers need.

A client performs one operation at a time. It returns a completion: `ok`, `fail` (it certainly
did not happen) or `unknown` (it may have happened, or may still). That is the whole difference
between a store that lost a write and one that refused it: where in doubt, unknown.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from queue import SimpleQueue
from typing import Any, TypeVar

from dynamesis.checkers.history.op import Op, OpError
from msgspec import UNSET, UnsetType, structs

T = TypeVar("T")


class Client:
    """Performs the operations of one client thread. Subclasses override `invoke`, and `open`
    and `close` where they hold connections.

    thread: which client this is, from 0; set before `open`, so that clients can spread over nodes
    """

    thread: int = 0

    async def open(self, addresses: Mapping[str, str]) -> None:
        """The nodes are now these: name -> host:port, each through a proxy. Called before the
        first operation, again whenever nodes have come or gone, and on a new client after
        one broke. An exception fails the operation that waits."""

    async def invoke(self, op: Op) -> Op:
        """The completion of `op`, made by `ok`, `fail` or `unknown`. An exception is unknown; of
        an operation that only reads it is a failure, since that changed nothing. Its `time` may
        be when the answer arrived, `time.monotonic_ns()`; else it is when the harness had it."""
        raise NotImplementedError

    def recorded(self, index: int) -> None:
        """The last completion has this index in the history."""

    async def close(self) -> None:
        """No operation follows."""


class BlockingClient(Client):
    """A client on a library that blocks: its methods run in a thread of its own, one at a time."""

    def connect(self, addresses: Mapping[str, str]) -> None:
        """As `open`."""

    def perform(self, op: Op) -> Op:
        """As `invoke`."""
        raise NotImplementedError

    def disconnect(self) -> None:
        """As `close`."""

    async def open(self, addresses: Mapping[str, str]) -> None:
        await self._run(lambda: self.connect(addresses))

    async def invoke(self, op: Op) -> Op:
        return await self._run(lambda: self.perform(op))

    async def close(self) -> None:
        try:
            await self._run(self.disconnect)
        finally:
            self._own_thread.end()

    async def _run(self, work: Callable[[], T]) -> T:
        return await self._own_thread.run(work)

    @property
    def _own_thread(self) -> _Thread:
        found: _Thread | None = self.__dict__.get("_thread")
        if found is None:
            found = self.__dict__["_thread"] = _Thread(type(self).__name__)
        return found


class _Thread:
    """A thread that does what it is given, in order. It is a daemon: a library that never comes
    back must not keep the program from its end, as those of an executor would."""

    def __init__(self, name: str) -> None:
        self._jobs: SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None] = SimpleQueue()
        threading.Thread(target=self._work, name=name, daemon=True).start()

    async def run(self, job: Callable[[], T]) -> T:
        done: Future[T] = Future()
        self._jobs.put((done, job))
        return await asyncio.wrap_future(done)

    def end(self) -> None:
        """What was given is still done."""
        self._jobs.put(None)

    def _work(self) -> None:
        while (given := self._jobs.get()) is not None:
            done, job = given
            if done.set_running_or_notify_cancel():
                try:
                    result = job()
                except BaseException as failure:
                    done.set_exception(failure)
                else:
                    done.set_result(result)
            del given, done, job  # what they hold is let go while it waits


def ok(op: Op, value: Any = UNSET, node: str | None = None) -> Op:
    """It took effect; a read came back with `value`. `node`: which node answered."""
    return _completed(op, "ok", value, node)


def fail(op: Op, code: str, message: str = "", node: str | None = None) -> Op:
    """It certainly did not happen, and never will."""
    return _completed(op, "fail", UNSET, node, OpError(code, True, message))


def unknown(op: Op, code: str, message: str = "", node: str | None = None) -> Op:
    """It may have happened, or may still."""
    return _completed(op, "info", UNSET, node, OpError(code, False, message))


def _completed(
    op: Op, type_: Any, value: Any | UnsetType, node: str | None, error: OpError | None = None
) -> Op:
    return structs.replace(
        op,
        index=-1,
        time=-1,
        type=type_,
        value=op.value if value is UNSET else value,
        node=node if node is not None else op.node,
        options=None,
        error=error,
    )
