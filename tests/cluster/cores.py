"""Cores that misbehave, to be run in the real shell: python cores.py NAME --config FILE."""

from __future__ import annotations

import sys

from dynamesis.cluster.__main__ import main
from dynamesis.cluster.core.node.node import Node
from dynamesis.cluster.core.protocol.events import AdminRequest, Effect, Event, Received, Reply
from dynamesis.cluster.core.protocol.messages import Get, GetReply, QuorumInfo, Version


class Crashing(Node):
    """Raises when it is asked for a key."""

    def handle(self, now: float, event: Event, wall: int = 0) -> list[Effect]:
        if isinstance(event, Received) and isinstance(event.message, Get):
            raise ZeroDivisionError("a bug in the core")
        return super().handle(now, event, wall)


class Silent(Node):
    """Takes requests, and answers them only when asked to by the command "answer"."""

    def __init__(self, *args: object) -> None:
        super().__init__(*args)  # type: ignore[arg-type]
        self.held: list[Received] = []

    def handle(self, now: float, event: Event, wall: int = 0) -> list[Effect]:
        if isinstance(event, Received) and isinstance(event.message, Get):
            self.held.append(event)
            return []
        if isinstance(event, AdminRequest) and event.command == "answer":
            return [
                effect
                for held in self.held
                for effect in super(Silent, self).handle(now, held, wall)
            ]
        return super().handle(now, event, wall)


class Huge(Node):
    """Answers every get with more bytes than a frame may have."""

    def handle(self, now: float, event: Event, wall: int = 0) -> list[Effect]:
        match event:
            case Received(channel=int(channel), message=Get(rid)):
                siblings = (Version(bytes(1 << 20)),) * 66
                return [Reply(channel, GetReply(rid, siblings, b"", QuorumInfo(1, 1, 1, 0, "n1")))]
        return super().handle(now, event, wall)


CORES = {"crashing": Crashing, "silent": Silent, "huge": Huge}

if __name__ == "__main__":
    sys.exit(main(sys.argv[2:], CORES[sys.argv[1]]))
