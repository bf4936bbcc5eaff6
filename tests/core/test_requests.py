"""Gets and puts on the simulator: each trap of their rows in the table of mechanisms."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from dynamesis.cluster.core.protocol.events import LinkDown, Persist, Received, Reply, Send
from dynamesis.cluster.core.protocol.messages import (
    ForwardPut,
    Get,
    GetReply,
    Put,
    PutReply,
    Refusal,
    ReplicaGet,
    ReplicaGetReply,
    ReplicaPut,
    RequestOptions,
)
from simulator import Simulator

KEY = b"cart"


@pytest.fixture
def sim() -> Simulator:
    return Simulator()


def preference(sim: Simulator) -> tuple[str, ...]:
    view = sim.nodes["n1"].view
    return view.preference(view.partition(KEY))


def sent(sim: Simulator, kind: type, effects: list[Any]) -> list[Send]:
    return [e for e in effects if isinstance(e, Send) and isinstance(e.message, kind)]


def test_nothing_is_replicated_or_acknowledged_before_it_is_durable(sim: Simulator) -> None:
    node = sim.nodes[preference(sim)[0]]
    put = Put(1, "r", KEY, b"v")
    effects = node.handle(sim.now, Received(9, None, put))
    (persist,) = [e for e in effects if isinstance(e, Persist)]
    assert persist.writes
    assert not sent(sim, ReplicaPut, effects)
    assert not [e for e in effects if isinstance(e, Reply)]


def test_a_reader_is_never_shown_what_a_crash_may_take_back(sim: Simulator) -> None:
    name = preference(sim)[0]
    sim.fsync = (0.5, 0.5)
    sim.ask(name, Put(1, "r", KEY, b"v"))
    reading = sim.ask(name, Get(1, KEY))
    sim.run(0.2)
    if reading in sim.replies:
        assert sim.replies[reading].siblings == ()
    sim.crash(name)
    sim.boot(name)
    sim.run(0.1)
    assert sim.nodes[name].replica.own(KEY) is None


def test_the_next_write_builds_on_what_is_not_durable_yet(sim: Simulator) -> None:
    name = preference(sim)[0]
    sim.fsync = (0.05, 0.05)
    channels = [sim.ask(name, Put(1, f"r{i}", KEY, b"%d" % i)) for i in range(5)]
    sim.until(lambda: all(c in sim.replies for c in channels))
    assert {v.value for v in sim.get(name, KEY).siblings} == {b"0", b"1", b"2", b"3", b"4"}


def test_n_in_a_request_asks_so_many_primaries(sim: Simulator) -> None:
    name = preference(sim)[0]
    assert sim.put(name, KEY, b"v", n=1).worth.replicas == 1
    sim.run(0.05)
    assert list(sim.holders(KEY)) == [name]
    assert sim.get(name, KEY, n=1).worth.replicas == 1
    for wrong in ({"n": 0}, {"n": 4}, {"n": 1, "r": 2}):
        refusal = sim.get(name, KEY, **wrong)
        assert (refusal.code, "(N)" in refusal.message) == ("bad-request", True)


def test_a_get_reports_how_many_copies_are_durable() -> None:
    """In memory only, and then not; a not-found does not count as a copy."""
    sim = Simulator(durability="buffered", durable_replicas=0, buffer_interval=0.2)
    name = preference(sim)[0]
    assert sim.get(name, KEY, r=3).worth.durable == 0
    sim.put(name, KEY, b"v", w=3)
    assert sim.get(name, KEY, r=3).worth.durable == 0
    sim.run(0.5)
    assert sim.get(name, KEY, r=3).worth.durable == 3


def test_a_put_reports_under_which_dot_it_was_stamped(sim: Simulator) -> None:
    order = preference(sim)
    dots = []
    for name in (order[0], order[0], order[1], order[4]):
        dots.append(sim.put(name, KEY, b"v", w=3).worth.dot)
        sim.crash(order[0])
        sim.boot(order[0])
        sim.run(0.5)
    assert len(set(dots)) == 4
    stored_lines = [emit.fields for _, _, emit in sim.log if emit.event == "stored"]
    assert [fields["dot"] for fields in stored_lines if fields["why"] == "stamp"] == dots
    sim.nodes[order[2]].objects.remove(sim.nodes[order[2]].replica.row(KEY), lambda code: None)
    sim.run(0.1)
    assert [name for _, name, emit in sim.log if emit.event == "deleted"][-1] == order[2]
    record = sim.nodes[order[1]].replica.own(KEY)
    assert record is not None
    held = {f"{a}:{event}" for a, entry in record.state.items() for event, _ in entry.values}
    assert held == set(dots)
    assert sim.get(order[1], KEY).worth.dot is None
    vectors = Simulator(clock="vector")
    assert vectors.put(order[0], KEY, b"v").worth.dot is None, "these names may come again"


def test_a_put_at_any_node_is_coordinated_by_a_primary(sim: Simulator) -> None:
    order = preference(sim)
    for name in sim.names:
        reply = sim.put(name, KEY, b"v")
        assert reply.worth.coordinator in order[:3]
        assert reply.worth.primaries >= 2


def test_a_put_goes_to_the_primary_that_answered_the_read_first(sim: Simulator) -> None:
    """Unless the node that is asked is a primary itself: that saves the hop."""
    order = preference(sim)
    sim.put(order[0], KEY, b"v", w=3)
    asker = sim.nodes[order[4]]
    for fastest in order[:3]:
        effects = asker.handle(sim.now, Received(9, None, Get(1, KEY)))
        asked = {send.peer: send.message.rid for send in sent(sim, ReplicaGet, effects)}
        replies = []
        for peer in (fastest, *(name for name in order[:3] if name != fastest)):
            record = sim.nodes[peer].replica.own(KEY)
            assert record is not None
            answer = ReplicaGetReply(asked[peer], record.state)
            replies += asker.handle(sim.now, Received(None, peer, answer))
        (reply,) = [e.message for e in replies if isinstance(e, Reply)]
        context = reply.context
        (forward,) = sent(
            sim,
            ForwardPut,
            asker.handle(sim.now, Received(9, None, Put(1, "", KEY, b"w", context))),
        )
        assert forward.peer == fastest
    assert sim.put(order[1], KEY, b"x", context).worth.coordinator == order[1]
    sim.crash(order[2])
    sim.run(0.1)
    assert sim.put(order[4], KEY, b"y", context).worth.coordinator in order[:2]


def test_a_forward_in_doubt_is_never_tried_elsewhere(sim: Simulator) -> None:
    order = preference(sim)
    asker, coordinator = order[4], order[0]
    node = sim.nodes[asker]
    effects = node.handle(sim.now, Received(9, None, Put(1, "r", KEY, b"v")))
    (forward,) = sent(sim, ForwardPut, effects)
    assert forward.peer == coordinator
    effects = node.handle(sim.now, LinkDown(coordinator, "lost"))
    assert not sent(sim, ForwardPut, effects)
    (reply,) = [e for e in effects if isinstance(e, Reply)]
    assert isinstance(reply.message, Refusal)
    assert reply.message.code == "forward-lost"


def test_a_forward_that_was_never_sent_is_tried_elsewhere(sim: Simulator) -> None:
    order = preference(sim)
    sim.crash(order[0])
    sim.run(0.01)  # its peers have noticed
    reply = sim.put(order[4], KEY, b"v")
    assert isinstance(reply, PutReply)
    assert reply.worth.coordinator == order[1]


class TestSloppyQuorum:
    def test_always_writable_with_every_primary_gone(self, sim: Simulator) -> None:
        order = preference(sim)
        sim.isolate(*order[:3])
        sim.run(0.1)
        reply = sim.put(order[3], KEY, b"v")
        assert reply.worth.replicas == 2
        assert reply.worth.fallbacks == 2
        assert [v.value for v in sim.get(order[4], KEY).siblings] == [b"v"]

    def test_w_counts_distinct_nodes(self, sim: Simulator) -> None:
        lonely = preference(sim)[0]
        sim.isolate(lonely)
        sim.run(0.1)
        reply = sim.put(lonely, KEY, b"v")
        assert isinstance(reply, Refusal)
        assert reply.code == "write-quorum"

    def test_strict_requests_refuse_what_sloppy_ones_take(self, sim: Simulator) -> None:
        order = preference(sim)
        sim.isolate(*order[:2])
        sim.run(0.1)
        assert isinstance(sim.put(order[2], KEY, b"v"), PutReply)
        assert isinstance(sim.put(order[2], KEY, b"v", sloppy=False), Refusal)
        assert isinstance(sim.put(order[2], KEY, b"v", pw=2), Refusal)

    def test_an_empty_fallback_does_not_count_towards_r(self, sim: Simulator) -> None:
        order = preference(sim)
        sim.isolate(*order[:2])
        sim.run(0.1)
        reply = sim.get(order[2], KEY)
        assert isinstance(reply, Refusal)
        assert reply.code == "read-quorum"
        assert isinstance(sim.get(order[2], KEY, notfound_ok=True), GetReply)

    def test_pw_is_judged_on_the_answers_not_on_the_plan(self, sim: Simulator) -> None:
        order = preference(sim)
        # n-th primaries that take the connection and never answer
        for silent in order[1:3]:
            sim.cut.add((order[0], silent))
        channel = sim.ask(order[0], Put(1, "r", KEY, b"v", options=_pw(2)))
        sim.until(lambda: channel in sim.replies)
        assert isinstance(sim.replies[channel], Refusal)


def _pw(pw: int) -> Any:
    return RequestOptions(pw=pw)


class TestHintedHandoff:
    def hinted(self, sim: Simulator) -> tuple[str, ...]:
        order = preference(sim)
        sim.isolate(order[0])
        sim.run(0.1)
        sim.put(order[1], KEY, b"v")
        sim.until(lambda: sim.nodes[order[3]].hints.count() == {order[0]: 1})
        return order

    def test_a_hint_goes_home_and_is_then_deleted(self, sim: Simulator) -> None:
        order = self.hinted(sim)
        sim.heal()
        sim.until(lambda: not sim.nodes[order[3]].hints.count())
        assert sim.holders(KEY)[order[0]] == {b"v"}
        assert order[3] not in sim.holders(KEY)

    def test_hints_survive_a_crash_of_their_holder(self, sim: Simulator) -> None:
        order = self.hinted(sim)
        sim.crash(order[3])
        sim.boot(order[3])
        sim.run(0.05)
        assert sim.nodes[order[3]].hints.count() == {order[0]: 1}

    def test_a_hint_is_kept_until_its_target_acknowledged(self, sim: Simulator) -> None:
        order = self.hinted(sim)
        target, holder = order[0], order[3]
        sim.fsync = (1.0, 1.0)
        sim.heal()
        sim.run(0.5)
        assert sim.nodes[holder].hints.count() == {target: 1}
        sim.crash(target)
        sim.fsync = (0.0001, 0.001)
        sim.boot(target)
        sim.until(lambda: not sim.nodes[holder].hints.count())
        assert sim.holders(KEY)[target] == {b"v"}

    def test_a_hint_that_changed_on_the_way_is_not_deleted(self, sim: Simulator) -> None:
        order = self.hinted(sim)
        target, holder = order[0], order[3]
        sim.latency = (0.2, 0.2)
        sim.heal()
        sim.run(0.3)
        node = sim.nodes[holder]
        before = node.hints.handed_off
        sim.put(order[1], KEY, b"w")
        extra = sim.nodes[order[1]].replica.own(KEY)
        assert extra is not None
        sim.feed(
            holder,
            Received(10**6, order[1], ReplicaPut(10**6, KEY, extra.state, target, "put")),
        )
        sim.run(0.25)
        assert node.hints.count() == {target: 1} or node.hints.handed_off > before + 1
        sim.until(sim.quiet)
        assert sim.holders(KEY)[target] == {b"v", b"w"}


class TestReadRepair:
    def test_a_read_repairs_a_primary_that_missed_a_write(self, sim: Simulator) -> None:
        order = preference(sim)
        sim.stores[order[0]].tables["objects"].clear()
        sim.put(order[0], KEY, b"v")
        sim.until(lambda: len(sim.holders(KEY)) == 3)
        for name in order[:1]:
            sim.crash(name)
            sim.wipe(name)
            sim.boot(name)
        _stop_background(sim)
        sim.run(0.05)
        assert order[0] not in sim.holders(KEY)
        sim.get(order[1], KEY)
        sim.until(lambda: sim.holders(KEY).get(order[0]) == {b"v"})

    def test_without_anti_entropy_nothing_but_a_read_repairs(self) -> None:
        sim = Simulator(anti_entropy_interval=0.0)
        order = preference(sim)
        sim.put(order[0], KEY, b"v")
        sim.until(lambda: len(sim.holders(KEY)) == 3)
        sim.crash(order[0])
        sim.wipe(order[0])
        sim.boot(order[0])
        sim.run(30)
        assert order[0] not in sim.holders(KEY)
        assert all(not node.anti_entropy.standing for node in sim.nodes.values())
        sim.get(order[1], KEY)
        sim.until(lambda: sim.holders(KEY).get(order[0]) == {b"v"})

    def test_without_anti_entropy_the_membership_stays(self) -> None:
        sim = Simulator(anti_entropy_interval=0.0)
        with pytest.raises(AssertionError, match="leave: anti_entropy_interval is 0"):
            sim.admin("n1", "leave", node="n2")

    def test_replicas_that_agree_are_not_written(self, sim: Simulator) -> None:
        order = preference(sim)
        sim.put(order[0], KEY, b"v")
        sim.until(sim.quiet)
        seen = len(sim.log)
        sim.get(order[4], KEY)
        sim.run(1)
        assert [e for _, _, e in sim.log[seen:] if e.event in ("stored", "read-repair")] == []


def _stop_background(sim: Simulator) -> None:
    for node in sim.nodes.values():
        node.anti_entropy.begin_due = lambda: None  # type: ignore[method-assign]
        node.hints.hand_off = lambda: None  # type: ignore[method-assign]


class TestAntiEntropy:
    @pytest.mark.parametrize("keys", [1, 300])
    def test_it_alone_makes_replicas_agree(self, sim: Simulator, keys: int) -> None:
        names = [b"k%d" % i for i in range(keys)]
        for key in names:
            sim.put("n1", key, b"v" + key)
        sim.until(sim.quiet)
        sim.crash("n2")
        sim.wipe("n2")
        sim.boot("n2")
        assert sim.nodes["n2"].trees.objects == 0
        sim.until(lambda: sim.nodes["n2"].ready)
        sim.until(sim.quiet)
        for key in names:
            view = sim.nodes["n1"].view
            assert set(sim.holders(key)) == set(view.primaries(view.partition(key)))

    def test_a_quiet_cluster_repairs_nothing(self, sim: Simulator) -> None:
        for i in range(50):
            sim.put("n1", b"k%d" % i, b"v")
        sim.until(sim.quiet)
        seen = len(sim.log)
        sim.run(10)
        assert [e for _, _, e in sim.log[seen:]] == []

    def test_trees_stay_true_to_the_records(self, sim: Simulator) -> None:
        for i in range(100):
            sim.put("n1", b"k%d" % (i % 10), b"v%d" % i)
        sim.until(sim.quiet)
        node = sim.nodes["n3"]
        kept = {p: tree.root() for p, tree in node.trees._forest.trees.items() if tree.root()}
        sim.crash("n3")
        sim.boot("n3")
        rebuilt = sim.nodes["n3"].trees._forest.trees
        assert {p: tree.root() for p, tree in rebuilt.items() if tree.root()} == kept


class TestRefusals:
    @pytest.mark.parametrize(
        ("message", "code", "words"),
        [
            (Put(1, "r", KEY, b"x" * (1 << 20) + b"x"), "value-too-large", "1048577"),
            (Put(1, "r", b"k" * 1025, b"x"), "key-too-large", "1 to 1024"),
            (Put(1, "r", b"", b"x"), "bad-request", "the key is empty"),
            (Put(1, "r", KEY, b"x", b"forged"), "bad-context", "handed out"),
            (Put(1, "r", KEY, b"x", options=_pw(4)), "bad-request", "option pw is 4"),
        ],
    )
    def test_what_cannot_be_taken_is_refused_before_anything_is_done(
        self, sim: Simulator, message: Put, code: str, words: str
    ) -> None:
        reply = sim.call("n1", message)
        assert isinstance(reply, Refusal)
        assert reply.code == code
        assert words in reply.message
        assert sim.holders(KEY) == {}

    def test_a_value_of_exactly_the_limit_is_taken(self, sim: Simulator) -> None:
        assert isinstance(sim.put("n1", KEY, b"x" * (1 << 20)), PutReply)

    def test_requests_over_the_bound_are_refused_as_overloaded(self) -> None:
        sim = Simulator(max_requests=10)
        channels = [sim.ask("n1", Put(1, f"r{i}", b"k%d" % i, b"v")) for i in range(30)]
        sim.until(lambda: all(c in sim.replies for c in channels))
        codes = [getattr(sim.replies[c], "code", "ok") for c in channels]
        assert codes.count("overloaded") == 20
        assert isinstance(sim.put("n1", KEY, b"v"), PutReply)


class TestDetector:
    def test_a_silent_peer_is_suspected_and_returns(self, sim: Simulator) -> None:
        silence = [True]
        carry: Callable[..., None] = sim._reply

        def swallow(name: str, channel: int, message: Any) -> None:
            if not (silence[0] and name == "n5"):
                carry(name, channel, message)

        sim._reply = swallow  # type: ignore[method-assign]
        sim.until(lambda: not sim.nodes["n1"].detector.healthy("n5"))
        silence[0] = False
        sim.until(lambda: sim.nodes["n1"].detector.healthy("n5"))

    def test_slow_is_not_dead(self, sim: Simulator) -> None:
        sim.latency = (0.1, 0.2)
        sim.run(20)
        assert all(sim.nodes["n1"].detector.healthy(n) for n in sim.names)

    def test_even_an_answer_that_comes_too_late_shows_that_the_peer_lives(
        self, sim: Simulator
    ) -> None:
        sim.latency = (0.6, 0.6)
        sim.run(20)
        assert sim.nodes["n1"].detector.peers["n2"].timeouts > 10
        assert sim.nodes["n1"].detector.healthy("n2")


def test_what_a_put_does_anywhere_is_logged_under_its_request(sim: Simulator) -> None:
    outside = next(node for node in sim.nodes if node not in preference(sim)[:3])
    asked = sim.ask(outside, Put(1, "mine", KEY, b"v"))
    sim.ask(preference(sim)[0], Put(1, "other", b"else", b"v"))
    sim.run(1.0)
    assert isinstance(sim.replies[asked], PutReply)
    logged = [
        (node, emit.fields["why"])
        for _, node, emit in sim.log
        if emit.event == "stored" and emit.fields.get("request") == "mine"
    ]
    assert sorted(node for node, _ in logged) == sorted(preference(sim)[:3])
    assert sorted(why for _, why in logged) == ["put", "put", "stamp"]


def test_a_refused_put_is_logged_with_the_reason(sim: Simulator) -> None:
    name, *others = preference(sim)
    for other in others:
        sim.crash(other)
    asked = sim.ask(name, Put(1, "mine", KEY, b"v"))
    sim.run(5.0)
    refusal = sim.replies[asked]
    assert isinstance(refusal, Refusal)
    assert [
        (emit.fields["request"], emit.fields["code"])
        for _, _, emit in sim.log
        if emit.event == "put-refused"
    ] == [("mine", refusal.code)]
