"""A planted bug of one's own:
`dynamesis test --workload register --nemesis none --bug examples/own_bug.py:overwrite`.

A bug is a function that receives a freshly built node and replaces a method of it. What
one can replace stands in docs/architecture.md and in cluster/core; the planted bugs in
cluster/zoo have the same form.
"""

from dynamesis.cluster.core.node.node import Node
from dynamesis.cluster.core.protocol.messages import State, Version
from dynamesis.cluster.core.versions import clock


def overwrite(node: Node) -> None:
    """Every write replaces all siblings, whether its context covers them or not."""

    def apply(context: State, version: Version, state: State, actor: str, event: int) -> State:
        return clock.update(clock.context_of(state), version, state, actor, event)

    for records in (node.objects, node.hints.records):
        records.apply = apply  # type: ignore[method-assign]
