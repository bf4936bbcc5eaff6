"""Sees that two processes live under one node name.

Each has its own actors, so no version is lost; but they cut each other's links by turns. Neither
can see the other: its peers can. A process that ended is not met again, since what an earlier
connection still carries is thrown away once the node has dialled anew. So where two lives are met
by turns, twice each, both continue. (Once each is not enough: a disk that was set back below the
files counts its lives again from an earlier number.) Peers log it, and answer it in every Pong, so
that both processes log it too.
"""

from __future__ import annotations

from collections import deque

from dynamesis.cluster.core.protocol.messages import Life
from dynamesis.cluster.core.runtime.runtime import Runtime

#: seconds for which it is held to be so after it was last seen
SEEN = 10.0
_ALTERNATE = 4


class SameName:
    """What one node knows of names that two processes have, its own too."""

    def __init__(self, node: str, runtime: Runtime) -> None:
        self._node = node
        self._runtime = runtime
        #: the lives last met of each node, each unlike the one before it
        self._met: dict[str, deque[Life]] = {}
        self._seen: dict[str, float] = {}

    def met(self, node: str, life: Life) -> bool:
        """`life` of `node` is there; whether another process of that name is, too."""
        lives = self._met.setdefault(node, deque(maxlen=_ALTERNATE))
        if not lives or lives[-1] != life:
            lives.append(life)
            if len(lives) == _ALTERNATE and lives[0] == lives[2] and lives[1] == lives[3]:
                self._note(node, f"lives {_named(lives[2])} and {_named(life)} come by turns")
        return self._lately(node)

    def learn(self, peer: str) -> None:
        """`peer` has met two processes under the name of this node."""
        self._note(self._node, f"{peer} has met two processes under it")

    def names(self) -> list[str]:
        """The names under which two processes were seen of late."""
        return sorted(filter(self._lately, self._seen))

    def _note(self, name: str, reason: str) -> None:
        if not self._lately(name):
            advice = "two processes run under this name: stop one of them, or give it another"
            self._runtime.emit("same-name", name=name, reason=f"{reason}; {advice}")
        self._seen[name] = self._runtime.now

    def _lately(self, name: str) -> bool:
        seen = self._seen.get(name)
        return seen is not None and self._runtime.now - seen < SEEN


def _named(life: Life) -> str:
    return f"{life.incarnation:x}.{life.lives}"
