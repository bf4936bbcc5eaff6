"""Dotted version vectors against a brute-force truth: sets of dots."""

from __future__ import annotations

from dynamesis.cluster.core.protocol.messages import Entry, State, Version
from dynamesis.cluster.core.versions import clock
from hypothesis import given
from hypothesis import strategies as st


def put(state: State, context: State, value: bytes, actor: str) -> tuple[State, State]:
    """(state after, what the answer covers) of one put at `actor`."""
    event = clock.next_event(state, actor)
    after = clock.update(context, Version(value), state, actor, event)
    return after, clock.with_dot(context, actor, event)


def values(state: State) -> list[bytes]:
    return sorted(v.value for v in clock.versions(state))


def test_the_worked_example_of_two_writers_at_one_server() -> None:
    state: State = {}
    state, _ = put(state, {}, b"v1", "A")
    peter = clock.context_of(state)
    state, _ = put(state, {}, b"v2", "A")
    assert values(state) == [b"v1", b"v2"]
    state, _ = put(state, peter, b"v3", "A")
    assert values(state) == [b"v2", b"v3"]


def test_a_hundred_interleaved_writes_leave_two_siblings() -> None:
    state: State = {}
    contexts: list[State] = [{}, {}]
    for i in range(100):
        writer = i % 2
        state, contexts[writer] = put(state, contexts[writer], b"%d" % i, "A")
        assert len(values(state)) <= 2
    assert values(state) == [b"98", b"99"]


def test_the_answer_of_a_put_covers_its_own_version_and_no_concurrent_one() -> None:
    state, _ = put({}, {}, b"mary", "A")
    state, covers = put(state, {}, b"peter", "A")
    state, _ = put(state, covers, b"peter again", "A")
    assert values(state) == [b"mary", b"peter again"]


@given(st.integers(0, 5), st.frozensets(st.integers(1, 9)), st.integers(1, 9))
def test_the_newest_event_is_the_dot_that_a_put_added(n: int, more: frozenset[int], e: int) -> None:
    extra = tuple(sorted(event for event in more if event > n))
    known = Entry(n, (), extra)
    if clock.knows(known, e):
        return
    covers = clock.with_dot({"A": known, "B": Entry(3)}, "A", e)
    assert clock.newest(covers["A"], known) == e
    assert clock.newest(covers["B"], Entry(3)) == 0
    assert clock.newest(Entry(0, (), (e,)), None) == e


def test_a_context_with_a_hole_leaves_the_unseen_version_alone_on_another_replica() -> None:
    state, _ = put({}, {}, b"mary", "A")
    state, covers = put(state, {}, b"peter", "A")
    elsewhere, _ = put({}, covers, b"peter again", "B")
    for merged in (clock.sync(state, elsewhere), clock.sync(elsewhere, state)):
        assert values(merged) == [b"mary", b"peter again"]


# ---- random histories: replicas that stamp, sync and are read in any order

REPLICAS = ("A", "B", "C")
step = st.tuples(
    st.sampled_from(["put", "sync"]),
    st.integers(0, 2),
    st.integers(0, 2),
    st.integers(0, 5),
)


@given(st.lists(step, max_size=40))
def test_replicas_hold_exactly_the_versions_that_no_known_version_supersedes(
    steps: list[tuple[str, int, int, int]],
) -> None:
    states: list[State] = [{}, {}, {}]
    past: dict[bytes, frozenset[bytes]] = {}
    known: list[set[bytes]] = [set(), set(), set()]
    contexts: list[tuple[State, frozenset[bytes]]] = [({}, frozenset())]
    for i, (what, a, b, which) in enumerate(steps):
        if what == "put":
            context, seen = contexts[which % len(contexts)]
            value = b"%d" % i
            past[value] = seen | {value}
            states[a], covers = put(states[a], context, value, REPLICAS[a])
            known[a] |= past[value]
            contexts.append((covers, past[value]))
        else:
            states[a] = clock.sync(states[a], states[b])
            known[a] |= known[b]
        shown = values(states[a])
        contexts.append((clock.context_of(states[a]), frozenset().union(*(past[v] for v in shown))))
        below = {p for q in known[a] for p in past[q] if p != q}
        assert shown == sorted(known[a] - below)


def dots(draw: st.DrawFn) -> State:
    """A state of three actors; the value of a dot is a function of the dot, as it must be."""
    state: State = {}
    for actor in draw(st.sets(st.sampled_from(REPLICAS))):
        n = draw(st.integers(0, 4))
        extra = tuple(sorted(draw(st.sets(st.integers(n + 2, n + 4), max_size=2))))
        events = draw(st.sets(st.sampled_from([*range(1, n + 1), *extra]))) if n or extra else ()
        held = tuple((e, Version(b"%s%d" % (actor.encode(), e))) for e in sorted(events)[::-1])
        state[actor] = Entry(n, held, extra)
    return state


states = st.composite(dots)()


@given(states, states, states)
def test_sync_is_a_join(a: State, b: State, c: State) -> None:
    assert clock.sync(a, b) == clock.sync(b, a)
    assert clock.sync(a, a) == a
    assert clock.sync(clock.sync(a, b), c) == clock.sync(a, clock.sync(b, c))
    assert clock.digest(clock.sync(a, b)) == clock.digest(clock.sync(b, a))


@given(states, states)
def test_states_that_differ_have_other_digests(a: State, b: State) -> None:
    assert (a == b) == (clock.digest(a) == clock.digest(b))
