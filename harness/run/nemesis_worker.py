"""The nemesis as the interpreter sees it: a worker among those of the clients."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from dynamesis.checkers.history.op import Op
from dynamesis.harness.run.recorder import Recorder


class NemesisClient(Protocol):
    """Injects faults and takes all of them back."""

    async def invoke(self, op: Op, record: Callable[[Op], Op]) -> Op: ...

    def look(self, record: Callable[[Op], Op]) -> None: ...

    async def heal_all(self) -> None: ...


class NemesisWorker:
    """The nemesis as a worker; what it does in between, it records itself."""

    def __init__(self, nemesis: NemesisClient, recorder: Recorder) -> None:
        self._nemesis = nemesis
        self._recorder = recorder

    async def invoke(self, op: Op) -> Op:
        return await self._nemesis.invoke(op, self._recorder.record)

    def recorded(self, completion: Op) -> None:
        """A completion of the nemesis is never a basis."""

    async def close(self) -> None:
        """The nemesis holds nothing."""
