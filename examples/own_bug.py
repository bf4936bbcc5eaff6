"""A planted bug of one's own, in both forms that `--bug FILE.py:NAME` takes:
`dynamesis test --workload register --nemesis none --bug examples/own_bug.py:Overwrite`.

A class is a subclass of `Node` with other `parts`, which mypy checks; all bugs of
dynamesis.cluster.zoo are such classes. A function takes a freshly built node and replaces
methods of it. docs/zoo.md lists the parts and their points of change.
"""

from dynamesis.cluster.core.node.node import Node
from dynamesis.cluster.core.node.parts import Parts
from dynamesis.cluster.core.protocol.messages import State, Version
from dynamesis.cluster.core.storage.record_table import RecordTable
from dynamesis.cluster.core.versions import clock


class Overwriting(RecordTable):
    def apply(
        self, context: State, version: Version, state: State, actor: str, event: int
    ) -> State:
        return super().apply(clock.context_of(state), version, state, actor, event)


class Overwrite(Node):
    """Every write replaces all siblings, whether its context covers them or not."""

    parts = Parts(objects=Overwriting, hint_records=Overwriting)


def overwrite(node: Node) -> None:
    """The same bug as a function."""

    def apply(context: State, version: Version, state: State, actor: str, event: int) -> State:
        return clock.update(clock.context_of(state), version, state, actor, event)

    for records in (node.objects, node.hints.records):
        records.apply = apply  # type: ignore[method-assign]
