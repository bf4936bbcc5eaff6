"""Bugs of transfers: what is lost while a partition moves."""

from __future__ import annotations

from dynamesis.cluster.core.node.node import Node
from dynamesis.cluster.core.node.parts import Parts
from dynamesis.cluster.core.protocol.messages import State
from dynamesis.cluster.core.replication.transfers import Transfers
from dynamesis.cluster.core.requests.put import PutRequest
from dynamesis.cluster.core.ring.placement import Placement
from dynamesis.cluster.core.storage.record_table import RecordTable
from dynamesis.cluster.core.storage.row_keys import split_object

#: s that a transfer may take
_PATIENCE = 0.3


class SourceDeletes(Node):
    """The old owner gives a transfer so much time, and then deletes, though it failed."""

    def layout_changed(self) -> None:
        super().layout_changed()
        if self.placement is not None:
            self.runtime.after(_PATIENCE, self._delete)

    def _delete(self) -> None:
        for row, _ in list(self.objects.scan()):
            if self.params.node not in self.view.then.primaries(split_object(row)[0]):
                self.objects.remove(row, lambda code: None)


class _WithoutCopies(PutRequest):
    def copy_to_newcomers(self) -> None:
        pass


class _DroppedImmediately(Transfers):
    def layout_changed(self) -> None:
        super().layout_changed()
        self.discard()


class NoFinalSync(Node):
    """Writes during a transfer go to the old owners alone, which delete as soon as the ring has
    moved on, without a last look at what came late."""

    parts = Parts(put_request=_WithoutCopies, transfers=_DroppedImmediately)


class EarlyCleanup(Node):
    """A newcomer cleans up, some time after it has learned the ring, what was not its own
    then."""

    def layout_changed(self) -> None:
        known = self.placement is not None
        super().layout_changed()
        if not known and self.placement is not None and not self.params.members:
            view = self.view
            self.runtime.after(1.0, lambda: self._clean(view))

    def _clean(self, view: Placement) -> None:
        for row, _ in list(self.objects.scan()):
            if self.params.node not in view.primaries(split_object(row)[0]):
                self.objects.remove(row, lambda code: None)


class _Overwriting(RecordTable):
    def combine(self, ours: State, incoming: State, why: str) -> State:
        if why in ("handoff", "anti-entropy"):
            return incoming
        return super().combine(ours, incoming, why)


class HandoffOverwrites(Node):
    """What a transfer brings replaces what was written at the target meanwhile."""

    parts = Parts(objects=_Overwriting)
