"""A planted bug of your own:
`dynamesis test --workload register --nemesis none --bug examples/own_bug.py:Overwrite`.

A bug is a subclass of Node that overrides a method, or that puts a subclass of a part in
place of that part: dynamesis.cluster.core.node.parts lists them. The planted bugs in
dynamesis.cluster.zoo have the same form.
"""

from dynamesis.cluster.core.node.node import Node
from dynamesis.cluster.core.node.parts import Parts
from dynamesis.cluster.core.protocol.messages import State, Version
from dynamesis.cluster.core.storage.record_table import RecordTable
from dynamesis.cluster.core.versions import clock


class _LastWriteOnly(RecordTable):
    def apply(
        self, context: State, version: Version, state: State, actor: str, event: int
    ) -> State:
        return super().apply(clock.context_of(state), version, state, actor, event)


class Overwrite(Node):
    """Every write replaces all siblings, whether its context covers them or not."""

    parts = Parts(objects=_LastWriteOnly, hint_records=_LastWriteOnly)
