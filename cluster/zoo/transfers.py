"""Bugs of transfers: moving a partition from its old owners to its new ones."""

from __future__ import annotations

from cluster.core.messages import State
from cluster.core.node import Node
from cluster.core.put import PutRequest
from cluster.core.rows import split_object


def source_deletes(node: Node) -> None:
    """The old owner gives a transfer so much time, and then deletes, though it failed."""
    changed = node.transfers.layout_changed

    def delete() -> None:
        for row, _ in list(node.objects.scan()):
            if node.params.node not in node.view.then.primaries(split_object(row)[0]):
                node.objects.remove(row, lambda code: None)

    def in_time() -> None:
        changed()
        node.kernel.after(node.params.request_timeout, delete)

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
    """Until a join is complete, a newcomer takes what it has fetched for leftovers."""
    synced = node.anti_entropy.on_synced

    def clean(peer: str, partitions: list[int], version: int, begun: float) -> None:
        synced(peer, partitions, version, begun)
        me, view = node.params.node, node.view
        for row, _ in list(node.objects.scan()):
            partition, _ = split_object(row)
            if view.holds(me, partition) and me not in view.now.primaries(partition):
                node.objects.remove(row, lambda code: None)

    node.anti_entropy.on_synced = clean


def handoff_overwrites(node: Node) -> None:
    """What a transfer brings replaces what was written at the target meanwhile."""
    combine = node.objects.combine

    def overwrite(ours: State, incoming: State, why: str) -> State:
        return incoming if why in ("handoff", "anti-entropy") else combine(ours, incoming, why)

    node.objects.combine = overwrite  # type: ignore[method-assign]
