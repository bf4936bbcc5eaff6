"""A put that is sent again: finding the node that stamped the first try.

Every node that may have stamped it is asked, and none of them stamps: one that remembers the stamp
continues from it; where none does, the put stays in doubt.
"""

from __future__ import annotations

from collections.abc import Callable

from dynamesis.cluster.core.protocol.errors import is_definite
from dynamesis.cluster.core.protocol.messages import Answer, ForwardPut, Put, PutReply, Refusal
from dynamesis.cluster.core.requests.coordinator import Services
from dynamesis.cluster.core.runtime.runtime import Failure


class FirstTry:
    """One search. `unanswered`: nodes that have yet to say whether they remember it."""

    def __init__(self, services: Services, put: Put, hops: int) -> None:
        self.services = services
        self.put = put
        self._hops = hops
        self.unanswered = 0

    def seek(self, found: Callable[[Answer | Failure], None]) -> None:
        """Ask every node that may have stamped it; `found` gets what came of it. A node that
        received this put from another one asks no further."""
        healthy, order = self.services.detector.healthy, self.services.preference(self.put.key)
        others = [node for node in order if node != self.services.node and healthy(node)]
        if self._hops or not others:
            found(self._forgotten(f"{self.services.node} does not remember the first try"))
            return
        self.services.runtime.note("retry-sought")
        self.unanswered = len(others)
        for node in others:
            self.services.runtime.call(
                node,
                lambda rid: ForwardPut(rid, self._hops + 1, self.put),
                self.services.timeout(self.put.options),
                lambda outcome: self._sought(outcome, found),
            )

    def _sought(self, outcome: Answer | Failure, found: Callable[[Answer | Failure], None]) -> None:
        self.unanswered -= 1
        code = outcome.code if isinstance(outcome, Refusal) else "forgotten"
        if isinstance(outcome, PutReply) or (code != "forgotten" and not is_definite(code)):
            found(outcome)
        elif not self.unanswered:
            found(self._forgotten("no node that could be reached remembers the first try"))

    def _forgotten(self, message: str) -> Refusal:
        return Refusal(self.put.rid, "forgotten", message)
