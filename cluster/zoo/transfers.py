"""Bugs of transfers: moving a partition from its old owners to its new ones."""

from __future__ import annotations

from dynamesis.cluster.core.node.node import Node
from dynamesis.cluster.core.protocol.messages import State
from dynamesis.cluster.core.requests.put import PutRequest
from dynamesis.cluster.core.ring.placement import Placement
from dynamesis.cluster.core.storage.row_keys import split_object

#: s that a transfer may take
_PATIENCE = 0.3


def source_deletes(node: Node) -> None:
    """The old owner gives a transfer so much time, and then deletes, though it failed."""
    changed = node.transfers.layout_changed

    def delete() -> None:
        for row, _ in list(node.objects.scan()):
            if node.params.node not in node.view.then.primaries(split_object(row)[0]):
                node.objects.remove(row, lambda code: None)

    def in_time() -> None:
        changed()
        node.runtime.after(_PATIENCE, delete)

    node.transfers.layout_changed = in_time  # type: ignore[method-assign]


def no_final_sync(node: Node) -> None:
    """Writes during a transfer go to the old owners alone, who delete as soon as the ring has
    moved on, without a last look at what came late."""

    class Untold(PutRequest):
        def _tell_newcomers(self) -> None:
            pass

    node.put_request = Untold
    changed = node.transfers.layout_changed

    def at_once() -> None:
        changed()
        node.transfers.discard()

    node.transfers.layout_changed = at_once  # type: ignore[method-assign]


def early_cleanup(node: Node) -> None:
    """A newcomer cleans up, some time after it has heard of the ring, what was not its own
    then."""
    heard = node.gossip.on_news

    def news() -> None:
        known = node.placement is not None
        heard()
        if not known and node.placement is not None and not node.params.members:
            node.runtime.after(1.0, lambda view=node.view: clean(view))  # type: ignore[misc]

    def clean(view: Placement) -> None:
        for row, _ in list(node.objects.scan()):
            if node.params.node not in view.primaries(split_object(row)[0]):
                node.objects.remove(row, lambda code: None)

    node.gossip.on_news = news


def handoff_overwrites(node: Node) -> None:
    """What a transfer brings replaces what was written at the target meanwhile."""
    combine = node.objects.combine

    def overwrite(ours: State, incoming: State, why: str) -> State:
        return incoming if why in ("handoff", "anti-entropy") else combine(ours, incoming, why)

    node.objects.combine = overwrite  # type: ignore[method-assign]
