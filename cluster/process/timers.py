"""The timers of a core, carried out by an event loop: one at a time of each name."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from dynamesis.cluster.core.protocol.events import CancelTimer, Event, SetTimer, TimerFired


class Timers:
    """`post` gets TimerFired when one goes off."""

    def __init__(self, loop: asyncio.AbstractEventLoop, post: Callable[[Event], None]) -> None:
        self._loop = loop
        self._post = post
        self._handles: dict[str, asyncio.TimerHandle] = {}

    def set(self, effect: SetTimer) -> None:
        self.cancel(effect)
        self._handles[effect.id] = self._loop.call_later(effect.after, self._fire, effect.id)

    def cancel(self, effect: SetTimer | CancelTimer) -> None:
        handle = self._handles.pop(effect.id, None)
        if handle is not None:
            handle.cancel()

    def _fire(self, timer: str) -> None:
        del self._handles[timer]
        self._post(TimerFired(timer))
