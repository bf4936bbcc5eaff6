"""The generator contract: a pure value that says what to do next.

`op` asks for the next operation, `update` tells what happened; both return the
successor and change nothing, so that a generator can be simulated, replayed and
compared. Randomness lives inside the state. After Jepsen's generator.clj.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Protocol, final

from checkers.history import Op


@final
class Pending:
    """The type of PENDING."""

    def __repr__(self) -> str:
        return "PENDING"


#: Nothing to do now, but there may be later.
PENDING: Final = Pending()

#: A worker thread: a number for a client, "nemesis" for the nemesis.
Thread = int | str


@dataclass(frozen=True)
class Context:
    """What a generator may know: the time in ns since the test began, the threads that
    are free now, and the process that each thread plays at present."""

    time: int
    free: tuple[Thread, ...]
    workers: dict[Thread, int | str]


#: What `op` returns. None: exhausted. An Op may carry a `time` in the future: the
#: runner waits until then. An Op with process == -1 may be given to any free thread
#: (the generator itself normally fills in the process from the context).
Step = "None | tuple[Pending, Generator] | tuple[Op, Generator | None]"


class Generator(Protocol):
    """A pure, immutable source of operations."""

    def op(self, ctx: Context) -> None | tuple[Pending, Generator] | tuple[Op, Generator | None]:
        """Next operation at ctx.time, with the generator to use afterwards."""

    def update(self, ctx: Context, event: Op) -> Generator | None:
        """The generator after `event` (an invocation or a completion) happened."""
