"""Plain vector clocks as the paper has them (section 4.4), to show why not.

A version carries a vector of (node, counter, time) pairs; a version is gone when another
one's vector descends from its own. Two things are wrong with that, and both are kept:

- One vector names what a version descends from *and* the version itself. A write whose
  context is behind gets a counter above that of a version its writer never saw, and so
  descends from it: of two concurrent writes at one node the later eats the earlier.
- A vector is cut to ten pairs, the oldest by time first. What is cut is no longer known
  to be descended from: versions that were superseded long ago are siblings again.

The module offers the operations of cluster.core.versions.clock on the same states: the name of an
entry is the vector, written out, and the entry holds the one version that it belongs to.
"""

from __future__ import annotations

from collections.abc import Mapping

from dynamesis.cluster.core.protocol.messages import Entry, State, Version

#: pairs of a vector (section 4.4: "say 10")
LIMIT = 10

#: node -> (counter, time in ms)
Vector = dict[str, tuple[int, int]]

_HELD = 1


def parse(text: str) -> Vector:
    """The vector that an entry is named by."""
    vector: Vector = {}
    for pair in filter(None, text.split(" ")):
        node, _, rest = pair.rpartition("=")
        counter, _, time = rest.partition("@")
        vector[node] = int(counter), int(time)
    return vector


def is_state(state: State) -> bool:
    """Whether all entries are named by vectors, and hold a version each. What came from a node with
    another clock, or from none, is not."""
    try:
        return all(len(e.values) == 1 and parse(text) is not None for text, e in state.items())
    except ValueError:
        return False


def write(vector: Vector) -> str:
    return " ".join(f"{node}={vector[node][0]}@{vector[node][1]}" for node in sorted(vector))


def cut(vector: Vector) -> Vector:
    """The `LIMIT` youngest pairs."""
    young = sorted(vector, key=lambda node: (-vector[node][1], node))[:LIMIT]
    return {node: vector[node] for node in young}


def descends(a: Vector, b: Vector) -> bool:
    """Whether `a` has at least every counter of `b`."""
    return all(a.get(node, (0, 0))[0] >= counter for node, (counter, _) in b.items())


def merged(state: Mapping[str, Entry]) -> Vector:
    """The least vector above all in `state`."""
    top: Vector = {}
    for text in state:
        for node, pair in parse(text).items():
            top[node] = max(pair, top.get(node, (0, 0)))
    return top


def sync(a: State, b: State) -> State:
    """What neither side's other versions descend from. Of two versions with one vector the
    greater value stays: they cannot be distinguished."""
    both = dict(a)
    for text, entry in b.items():
        both[text] = max(entry, both.get(text, entry), key=_content)
    vectors = {text: parse(text) for text in sorted(both)}
    kept: State = {}
    for text, vector in vectors.items():
        above = (t for t, v in vectors.items() if t != text and descends(v, vector))
        if all(descends(vector, vectors[t]) and t < text for t in above):
            kept[text] = both[text]
    return kept


def _content(entry: Entry) -> tuple[bytes, bool]:
    version = entry.values[0][1]
    return version.value, version.deleted


def next_event(state: State, actor: str) -> int:
    """One more than the node's counter in what it holds."""
    return merged(state).get(_node(actor), (0, 0))[0] + 1


def update(context: State, version: Version, state: State, actor: str, event: int) -> State:
    """The state after a put; the time of its pair is the version's."""
    (text,) = with_dot(context, actor, event, version.at)
    return sync(state, {text: Entry(_HELD, ((_HELD, version),))})


def context_of(state: State) -> State:
    top = merged(state)
    return {write(top): Entry(_HELD)} if top else {}


def with_dot(context: State, actor: str, event: int, at: int = 0) -> State:
    """The context's vector with the node's counter at `event`, cut to the limit."""
    vector = merged(context)
    before, then = vector.get(_node(actor), (0, 0))
    vector[_node(actor)] = max(event, before + 1), max(at, then)
    return {write(cut(vector)): Entry(_HELD)}


def covers(state: State, context: State, actor: str) -> bool:
    """Vectors know no epochs: an actor is always carried on."""
    return True


def _node(actor: str) -> str:
    """Vectors name the node and its incarnation, not the record."""
    return actor.rpartition(":")[0]
