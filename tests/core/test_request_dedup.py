"""What is sent again is never stamped twice: request ids, retries and what stays in doubt."""

from __future__ import annotations

import msgspec
import pytest
from dynamesis.cluster.core.protocol.errors import is_definite
from dynamesis.cluster.core.protocol.messages import Put, PutReply, Refusal, RequestOptions
from simulator import Simulator

KEY = b"cart"


@pytest.fixture
def sim() -> Simulator:
    return Simulator()


def preference(sim: Simulator) -> tuple[str, ...]:
    view = sim.nodes["n1"].view
    return view.preference(view.partition(KEY))


def test_a_retry_with_the_same_request_id_is_not_stamped_again(sim: Simulator) -> None:
    name = preference(sim)[1]
    first = sim.call(name, Put(1, "same", KEY, b"v"))
    again = sim.call(name, Put(2, "same", KEY, b"v"))
    assert again.context == first.context
    assert len(sim.get(name, KEY).siblings) == 1


def test_a_retry_while_the_first_is_in_progress_gets_the_same_answer(sim: Simulator) -> None:
    name = preference(sim)[1]
    channels = [sim.ask(name, Put(i, "same", KEY, b"v")) for i in (1, 2)]
    sim.until(lambda: all(c in sim.replies for c in channels))
    one, two = (sim.replies[c] for c in channels)
    assert one.context == two.context
    assert len(sim.get(name, KEY).siblings) == 1


@pytest.mark.parametrize("place", range(5))
@pytest.mark.parametrize("retries", [1, 2])
def test_a_first_try_that_is_overtaken_by_its_retry_is_stamped(
    sim: Simulator, place: int, retries: int
) -> None:
    """Found by simulate (seed 2145): a first try that came while its retry looked for it was
    refused as forgotten together with that."""
    name = preference(sim)[place]
    channels = [sim.ask(name, Put(i, "same", KEY, b"v", again=True)) for i in range(retries)]
    channels.append(sim.ask(name, Put(9, "same", KEY, b"v")))
    sim.until(lambda: all(c in sim.replies for c in channels))
    assert {type(sim.replies[c]) for c in channels} == {PutReply}
    assert len({sim.replies[c].context for c in channels}) == 1
    sim.run(5)
    assert len(sim.get(name, KEY).siblings) == 1
    dedup = sim.nodes[name].services.dedup
    assert not dedup.waits("same")


def test_a_first_try_that_is_forwarded_to_where_its_retry_seeks_is_stamped(sim: Simulator) -> None:
    coordinator, asker = preference(sim)[0], preference(sim)[4]
    retry = sim.ask(coordinator, Put(1, "same", KEY, b"v", again=True))
    first = sim.ask(asker, Put(2, "same", KEY, b"v"))
    sim.until(lambda: first in sim.replies)
    assert isinstance(sim.replies[first], PutReply)
    sim.until(lambda: retry in sim.replies)
    assert len(sim.get(asker, KEY).siblings) == 1


def again(sim: Simulator, name: str, request: str = "same") -> object:
    return sim.call(name, Put(9, request, KEY, b"v", again=True))


def test_what_is_sent_again_continues_from_the_stamp_wherever_that_was_made(sim: Simulator) -> None:
    order = preference(sim)
    coordinator, asker = order[0], order[4]
    sim.isolate(coordinator)
    sim.run(0.1)
    first = sim.call(coordinator, Put(1, "same", KEY, b"v"))
    assert isinstance(first, Refusal)
    assert not is_definite(first.code)
    sim.heal()
    sim.run(0.1)
    assert isinstance(again(sim, asker), PutReply)
    assert isinstance(again(sim, coordinator), PutReply)
    assert len(sim.get(asker, KEY).siblings) == 1


def test_what_is_sent_again_is_never_stamped_however_often_and_wherever(sim: Simulator) -> None:
    """No node remembers it: it never came, or its coordinator has forgotten it."""
    order = preference(sim)
    sim.call(order[0], Put(1, "same", KEY, b"v"))
    sim.crash(order[0])
    sim.boot(order[0])
    sim.run(0.1)
    for name in order:
        refusal = again(sim, name)
        assert isinstance(refusal, Refusal)
        assert (refusal.code, is_definite(refusal.code)) == ("forgotten", False)
    assert [v.value for v in sim.get(order[1], KEY).siblings] == [b"v"]
    assert isinstance(again(sim, order[1], "never sent"), Refusal)
    assert len(sim.get(order[1], KEY).siblings) == 1


@pytest.mark.parametrize("seed", range(3))
def test_nothing_is_stamped_twice_however_clients_insist(seed: int) -> None:
    sim = Simulator(seed=seed)
    dots: dict[bytes, set[tuple[str, int]]] = {}

    def look() -> None:
        for node in sim.nodes.values():
            for records in (node.objects, node.hints.records):
                for _, record in records.scan():
                    for actor, entry in record.state.items():
                        for event, version in entry.values:
                            dots.setdefault(version.value, set()).add((actor, event))

    doubts = 0
    for number in range(60):
        victim = sim.random.choice(sim.names)
        put = Put(1, f"r{number}", KEY, b"%d" % number)
        channel = sim.ask(sim.random.choice(sim.names), put)
        sim.run(sim.random.uniform(0, 0.003))
        if number % 2:
            sim.isolate(victim)
        else:
            sim.crash(victim)
        for _ in range(3):
            sim.run(0.3)
            reply = sim.replies.get(channel)
            if isinstance(reply, PutReply) or (reply and is_definite(reply.code)):
                break
            doubts += 1
            name = sim.random.choice(sorted(sim.nodes))
            channel = sim.ask(name, msgspec.structs.replace(put, again=True))
        if victim not in sim.nodes:
            sim.boot(victim)
        sim.heal()
        sim.run(0.2)
        look()
    assert doubts > 10
    assert len(dots) > 30
    assert not {value: named for value, named in dots.items() if len(named) > 1}


def test_large_answers_fill_no_memory_and_are_never_given_in_part(sim: Simulator) -> None:
    name = preference(sim)[0]
    body = RequestOptions(return_body=True)
    context = b""
    for i in range(20):
        reply = sim.call(name, Put(i, f"r{i}", KEY, bytes(1 << 20), context, options=body))
        assert isinstance(reply, PutReply)
        context = reply.context
    count, size = sim.nodes[name].services.dedup.remembered
    assert count == 20
    assert size <= 8 << 20
    # the latest is answered again, whole; of the first it is known that it took effect, no more
    again = sim.call(name, Put(21, "r19", KEY, bytes(1 << 20), options=body))
    assert isinstance(again, PutReply)
    assert len(again.siblings) == 1
    first = sim.call(name, Put(22, "r0", KEY, bytes(1 << 20), options=body))
    assert isinstance(first, Refusal)
    assert (first.code, is_definite(first.code)) == ("forgotten", False)
    assert "took effect" in first.message
    assert len(sim.get(name, KEY).siblings) == 1, "it was not stamped again"


def test_a_long_request_id_is_refused_by_its_limit_before_anything_is_done(sim: Simulator) -> None:
    name = preference(sim)[0]
    refusal = sim.call(name, Put(1, "r" * 257, KEY, b"v"))
    assert isinstance(refusal, Refusal)
    assert (refusal.code, refusal.message) == (
        "bad-request",
        "the request id is 257 characters; at most 256",
    )
    assert sim.get(name, KEY).siblings == ()
    assert isinstance(sim.call(name, Put(2, "r" * 256, KEY, b"v")), PutReply)


# ---- another put under the same id

OTHERS = [(KEY, b"w", False), (b"other", b"v", False), (KEY, b"v", True), (KEY, b"", False)]


@pytest.mark.parametrize(("key", "value", "deleted"), OTHERS)
def test_another_put_under_the_id_of_an_answered_one_is_refused(
    sim: Simulator, key: bytes, value: bytes, deleted: bool
) -> None:
    name = preference(sim)[0]
    first = sim.call(name, Put(1, "same", KEY, b"v"))
    assert isinstance(first, PutReply)
    for _ in range(2):
        refused = sim.call(name, Put(2, "same", key, value, deleted=deleted))
        assert isinstance(refused, Refusal)
        assert refused.code == "bad-request"
        assert is_definite(refused.code)
        assert "'same' is that of another put" in refused.message
    assert [v.value for v in sim.get(name, KEY).siblings] == [b"v"]
    assert sim.call(name, Put(3, "same", KEY, b"v")).context == first.context


@pytest.mark.parametrize(("key", "value", "deleted"), OTHERS)
def test_another_put_under_the_id_of_one_in_progress_is_refused(
    sim: Simulator, key: bytes, value: bytes, deleted: bool
) -> None:
    name = preference(sim)[0]
    first = sim.ask(name, Put(1, "same", KEY, b"v"))
    refused = sim.call(name, Put(2, "same", key, value, deleted=deleted))
    assert isinstance(refused, Refusal)
    assert refused.code == "bad-request"
    sim.until(lambda: first in sim.replies)
    assert isinstance(sim.replies[first], PutReply)


@pytest.mark.parametrize("value", [b"v", b"w"])
def test_a_stamp_in_doubt_is_carried_on_for_its_own_put_only(sim: Simulator, value: bytes) -> None:
    lonely = preference(sim)[0]
    sim.isolate(lonely)
    sim.run(0.1)
    assert isinstance(sim.call(lonely, Put(1, "same", KEY, b"v")), Refusal)
    sim.heal()
    sim.run(0.1)
    answer = sim.call(lonely, Put(2, "same", KEY, value))
    if value == b"v":
        assert isinstance(answer, PutReply)
    else:
        assert isinstance(answer, Refusal)
        assert answer.code == "bad-request"
    assert [v.value for v in sim.get(lonely, KEY).siblings] == [b"v"]


def test_a_refused_put_gives_its_id_back(sim: Simulator) -> None:
    """Where nothing is remembered of a put, its id is free."""
    name = preference(sim)[0]
    dedup = sim.nodes[name].services.dedup
    sim.isolate(*sim.names)
    sim.isolate(name)
    sim.run(0.1)
    other = preference(sim)[4]
    assert isinstance(sim.call(other, Put(1, "free", KEY, b"v", again=True)), Refusal)
    for i in range(20):
        sim.call(name, Put(1, f"r{i}", KEY, b"v%d" % i))
    sim.heal()
    sim.run(5)
    waiting = [request for request in dedup._known if dedup.waits(request)]
    assert set(dedup._known) == {*dedup._answered, *dedup._stamped, *waiting}
    assert "free" not in sim.nodes[other].services.dedup._known
