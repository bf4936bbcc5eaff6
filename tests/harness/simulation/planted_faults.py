"""Faults planted for tests of the judges: each is seen by one of them alone."""

from __future__ import annotations

from dynamesis.cluster.core.node.node import Node
from dynamesis.cluster.core.node.parts import Parts
from dynamesis.cluster.core.protocol.messages import State
from dynamesis.cluster.core.requests.put import PutRequest
from dynamesis.cluster.core.storage.record_table import RecordTable


def ignores_timeouts(node: Node) -> None:
    """A request waits for as long as one that asks for no time-out."""
    object.__setattr__(node.services, "timeout", lambda options: node.params.request_timeout)


def reaps_what_is_under_way(node: Node) -> None:
    """A tombstone is forgotten although a request for its key is under way."""
    node.services.barriers.busy = lambda key: False  # type: ignore[method-assign]


class _ToTheFirst(PutRequest):
    def copy_to_newcomers(self) -> None:
        for node in self.services.pending(self.put.key)[:1]:
            if self.plan.held_by(node) is None:
                self.services.runtime.call(
                    node,
                    lambda rid: self._copy(rid, None, "pending"),
                    self.services.params.replica_timeout,
                    lambda outcome: None,
                )


class ToTheFirst(Node):
    """Of several newcomers the first alone gets the writes of a transfer."""

    parts = Parts(put_request=_ToTheFirst)


class _HandedOver(RecordTable):
    def combine(self, ours: State, incoming: State, why: str) -> State:
        return incoming if why == "handoff" else super().combine(ours, incoming, why)


class HandedOver(Node):
    """What is handed off replaces what is there; anti-entropy brings that back."""

    parts = Parts(objects=_HandedOver)
