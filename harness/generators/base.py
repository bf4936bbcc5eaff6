"""The generator contract: a pure value that returns what to do next.

`op` asks for the next operation, `update` takes in what happened; both return the
successor and change nothing, so that a generator can be simulated, replayed and
compared. Randomness lives inside the state. After Jepsen's generator.clj, with one
difference: waiting carries a time (Pending.until), so that sleeping needs no thread and
there is no need to poll.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, Protocol, TypeAlias, final

import msgspec
from dynamesis.checkers.history.op import Op

#: A worker thread: a number for a client, "nemesis" for the nemesis.
Thread = int | str


@final
class Pending(msgspec.Struct, frozen=True, gc=False):
    """Nothing to do now, but there may be later: after the next event, or at `until` (ns
    since the test began), whichever comes first."""

    until: int | None = None


#: Nothing to do until something happens.
PENDING: Final = Pending()


class Cast(dict[Thread, int | str]):
    """Which process each thread plays. Never changed once made, so that what is asked of it
    for every event is worked out once."""

    def __init__(self, played: Mapping[Thread, int | str]) -> None:
        super().__init__(played)
        self._parts: dict[Callable[[Thread], bool], Cast] = {}
        self._alone: dict[Thread, Cast] = {}
        self._threads = {process: thread for thread, process in played.items()}

    def thread(self, process: int | str) -> Thread | None:
        """The thread that plays `process`; None when none does."""
        return self._threads.get(process)

    def alone(self, thread: Thread) -> Cast:
        """This thread only."""
        found = self._alone.get(thread)
        if found is None:
            found = self._alone[thread] = Cast({thread: self[thread]})
        return found

    def only(self, keep: Callable[[Thread], bool]) -> Cast:
        """The threads for which `keep` holds."""
        if keep not in self._parts:
            kept = {thread: played for thread, played in self.items() if keep(thread)}
            self._parts[keep] = self if len(kept) == len(self) else Cast(kept)
        return self._parts[keep]


class Context(msgspec.Struct, frozen=True):
    """What a generator may know: the time in ns since the test began, the threads that
    are free now (longest free first), and the process that each thread plays at present."""

    time: int
    free: tuple[Thread, ...]
    workers: Cast

    @property
    def idle(self) -> bool:
        """No thread is busy."""
        return len(self.free) == len(self.workers)

    def thread(self, process: int | str) -> Thread | None:
        """The thread that plays `process`; None when no thread here does."""
        return self.workers.thread(process)

    def alone(self, thread: Thread) -> Context:
        """This context as if `thread` were the only one."""
        free = (thread,) if thread in self.free else ()
        return Context(self.time, free, self.workers.alone(thread))

    def only(self, keep: Callable[[Thread], bool]) -> Context:
        """This context as if there were only the threads for which `keep` holds."""
        workers = self.workers.only(keep)
        if workers is self.workers:
            return self
        free = tuple([thread for thread in self.free if thread in workers])
        return Context(self.time, free, workers)


#: What `op` returns. None: exhausted. After a Pending the successor must be kept as well:
#: it is the one that remembers when the waiting began. An Op may carry a `time` in the
#: future; the runner then waits, and asks again the generator that it asked before.
Step: TypeAlias = "tuple[Op | Pending, Generator | None] | None"


class Generator(Protocol):
    """A pure, immutable source of operations."""

    def op(self, ctx: Context) -> Step:
        """Next operation at ctx.time, with the generator to use afterwards."""

    def update(self, ctx: Context, event: Op) -> Generator | None:
        """The generator after `event` (an invocation or a completion) happened."""


def assign(op: Op, ctx: Context) -> Op | Pending | None:
    """`op` as it is to happen now: with the time, and given to the thread that has been
    free longest unless it names a process. Pending when it must wait for its time or its
    thread; None when no thread plays its process any more."""
    if op.time > ctx.time:
        return Pending(op.time)
    if op.type != "invoke":
        return msgspec.structs.replace(op, time=ctx.time)
    if op.process in (-1, "harness"):
        if not ctx.free:
            return PENDING
        process = ctx.workers[ctx.free[0]]
        return msgspec.structs.replace(op, time=ctx.time, process=process)
    thread = ctx.thread(op.process)
    if thread is None:
        return None
    return msgspec.structs.replace(op, time=ctx.time) if thread in ctx.free else PENDING
