"""Acknowledged from memory or from the disk; rows that are damaged; disks that fail."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from dynamesis.cluster.core.protocol import events as ev
from dynamesis.cluster.core.protocol.messages import PutReply, Refusal
from dynamesis.cluster.core.protocol.storage_reader import Damaged, ReadFailed
from simulator import DictStore, Simulator

KEY = b"k"


class BadStore(DictStore):
    """A disk that a test can damage."""

    def __init__(self) -> None:
        super().__init__()
        self.damaged: set[bytes] = set()
        self.unreadable = False

    def get(self, table: str, key: bytes) -> bytes | None:
        if self.unreadable:
            raise ReadFailed("the disk does not answer")
        if key in self.damaged:
            raise Damaged(table, key)  # type: ignore[arg-type]
        return super().get(table, key)

    def scan(
        self, table: str, prefix: bytes = b"", after: bytes | None = None
    ) -> Iterator[tuple[bytes, bytes]]:
        for key, value in super().scan(table, prefix, after):
            if self.unreadable:
                raise ReadFailed("the disk does not answer")
            if key in self.damaged:
                raise Damaged(table, key)  # type: ignore[arg-type]
            yield key, value

    def commit(self, writes: tuple[ev.Write, ...]) -> None:
        super().commit(writes)
        self.damaged -= {write.key for write in writes}


def restart(sim: Simulator, name: str, store: DictStore | None = None) -> None:
    sim.crash(name)
    if store is not None:
        store.tables = sim.stores[name].tables
        sim.stores[name] = store
    sim.boot(name)
    sim.until(lambda: sim.nodes[name].ready and sim.linked())


def with_bad_disk(sim: Simulator, name: str) -> BadStore:
    store = BadStore()
    restart(sim, name, store)
    return store


def emitted(sim: Simulator, event: str) -> list[dict[str, Any]]:
    return [emit.fields for _, _, emit in sim.log if emit.event == event]


def buffered(members: int = 3, **params: Any) -> Simulator:
    defaults = {"durability": "buffered", "buffer_interval": 0.5, "anti_entropy_interval": 1e3}
    params = defaults | params
    sim = Simulator(members, **params)
    sim.until(lambda: all(node.ready for node in sim.nodes.values()))
    return sim


def slow_disks(sim: Simulator) -> None:
    sim.fsync = (0.1, 0.1)


# ---- the durability that an answer reports


@pytest.mark.parametrize("durability", ["each", "batched"])
def test_written_through_every_counted_copy_is_durable(durability: str) -> None:
    sim = buffered(durability=durability)
    slow_disks(sim)
    reply = sim.put("n1", KEY, b"1", w=3)
    assert reply.worth.durable == 3
    assert sum(bool(store.tables["objects"]) for store in sim.stores.values()) == 3


def test_buffered_answers_before_any_disk_and_reports_it() -> None:
    sim = buffered()
    slow_disks(sim)
    reply = sim.put("n1", KEY, b"1", w=2)
    assert (reply.worth.replicas, reply.worth.durable) == (2, 0)
    assert not any(store.tables["objects"] for store in sim.stores.values())


def test_one_replica_of_n_is_durable_soon_without_being_waited_for() -> None:
    sim = buffered(buffer_interval=60.0)
    sim.put("n1", KEY, b"1", w=2)
    sim.run(1.0)
    assert sum(bool(store.tables["objects"]) for store in sim.stores.values()) == 1
    sim = buffered(buffer_interval=60.0, durable_replicas=0)
    sim.put("n1", KEY, b"1", w=2)
    sim.run(1.0)
    assert not any(store.tables["objects"] for store in sim.stores.values())


@pytest.mark.parametrize("dw", [1, 2, 3])
def test_dw_waits_for_as_many_disks(dw: int) -> None:
    sim = buffered()
    slow_disks(sim)
    reply = sim.put("n1", KEY, b"1", w=1, dw=dw)
    assert reply.worth.durable >= dw
    assert sum(bool(store.tables["objects"]) for store in sim.stores.values()) >= dw


def test_storage_that_does_not_outlive_the_process_is_never_called_durable() -> None:
    sim = buffered(durability="batched")
    for name in sim.names:
        sim.stores[name].durable = False
        restart(sim, name)
    sim.run(1.0)
    assert sim.put("n1", KEY, b"1", w=3).worth.durable == 0
    assert isinstance(sim.put("n1", KEY, b"2", dw=1), Refusal)


# ---- the buffer


def test_a_read_never_misses_the_write_buffer() -> None:
    sim = buffered(buffer_interval=60.0, durable_replicas=0)
    context = b""
    for n in range(20):
        reply = sim.put("n1", KEY, b"%d" % n, context, w=3)
        read = sim.get("n2", KEY, r=1)
        assert [v.value for v in read.siblings] == [b"%d" % n]
        context = reply.context
    rows = sim.admin("n3", "dump")["rows"]
    assert [row["siblings"][0]["value"] for row in rows] == [b"19"]
    assert not any(store.tables["objects"] for store in sim.stores.values())


def test_a_key_that_is_written_often_is_stored_once() -> None:
    sim = buffered(durable_replicas=0)
    before = sum(len(s.tables["objects"]) for s in sim.stores.values())
    persisted: list[ev.Persist] = []
    carry = sim._carry
    sim._carry = lambda name, effect: (  # type: ignore[method-assign]
        persisted.append(effect) if isinstance(effect, ev.Persist) else None,
        carry(name, effect),
    )[1]
    context = b""
    for n in range(100):
        context = sim.put("n1", KEY, b"%d" % n, context, w=3).context
    sim.run(2.0)
    assert before == 0
    assert all(store.tables["objects"] for store in sim.stores.values())
    assert len(persisted) < 30


def test_a_full_buffer_is_as_slow_as_the_disk_and_no_larger() -> None:
    sim = buffered(buffer_interval=60.0, durable_replicas=0, buffer_rows=10)
    for n in range(50):
        sim.put("n1", b"k%d" % n, b"v", w=3)
    assert all(len(node.objects.buffer) <= 10 for node in sim.nodes.values())
    assert all(len(store.tables["objects"]) >= 40 for store in sim.stores.values())


def test_a_crash_loses_only_what_was_not_called_durable() -> None:
    sim = buffered(buffer_interval=60.0, durable_replicas=0)
    sim.put("n1", b"memory", b"1", w=3)
    assert sim.put("n1", b"disk", b"1", dw=3).worth.durable == 3
    for name in sim.names:
        sim.crash(name)
    for name in sim.names:
        sim.boot(name)
    sim.until(lambda: all(node.ready for node in sim.nodes.values()))
    sim.run(1.0)
    assert sim.get("n1", b"memory").siblings == ()
    assert [v.value for v in sim.get("n1", b"disk").siblings] == [b"1"]


def test_what_memory_forgot_is_never_stamped_again_under_the_same_dot() -> None:
    """The record comes back from the disk at an older event; its next dots are in use at
    the replicas that did not crash."""
    sim = buffered(buffer_interval=60.0, durable_replicas=0, anti_entropy_interval=0.5)
    owner = sim.nodes["n1"].view.primaries(sim.nodes["n1"].view.partition(KEY))[0]
    first = sim.put(owner, KEY, b"stored", dw=3)
    sim.put(owner, KEY, b"remembered elsewhere", first.context, w=3)
    others = [name for name in sim.names if name != owner]
    sim.crash(owner)
    sim.boot(owner)
    sim.until(lambda: sim.nodes[owner].ready)
    sim.isolate(owner)
    reply = sim.put(owner, KEY, b"new", w=1, r=1, sloppy=False)
    assert isinstance(reply, PutReply)
    sim.heal()
    sim.until(sim.quiet)
    for name in [owner, *others]:
        assert sim.holders(KEY)[name] >= {b"remembered elsewhere", b"new"}


# ---- disks that fail to write


def failing(sim: Simulator, name: str) -> Callable[[], None]:
    """Every write at `name` fails from now on; call the result to heal it."""
    persist = sim._persist

    def refuse(node: str, token: int, writes: tuple[ev.Write, ...]) -> None:
        if node == name:
            sim.later(0.001, node, ev.PersistFailed(token, "no space left"))
        else:
            persist(node, token, writes)

    sim._persist = refuse  # type: ignore[method-assign]
    return lambda: setattr(sim, "_persist", persist)


def test_a_write_that_could_not_be_stored_leaves_no_dot_to_be_used_twice() -> None:
    """The refused put may be retried from its stamp, so that dot is spent."""
    sim = buffered(durability="batched")
    owner = sim.nodes["n1"].view.primaries(sim.nodes["n1"].view.partition(KEY))[0]
    first = sim.put(owner, KEY, b"0", w=3)
    heal = failing(sim, owner)
    refused = sim.put(owner, KEY, b"1", first.context)
    assert isinstance(refused, Refusal)
    assert refused.code == "storage-write"
    spent = next(iter(sim.nodes[owner].services.dedup._stamped.values())).state
    heal()
    sim.put(owner, KEY, b"2", first.context, w=3)
    record = sim.nodes[owner].replica.own(KEY)
    assert record is not None
    dots = {(a, e): v for a, entry in spent.items() for e, v in entry.values}
    for actor, entry in record.state.items():
        for event, version in entry.values:
            assert dots.get((actor, event), version) == version, "one dot names two versions"


def test_a_hint_that_could_not_be_stored_does_not_count_as_kept() -> None:
    """Found by buggify (`hints-fail`): the node could not account for it, as if it were lost."""
    sim = Simulator(5, seed=7)
    order = sim.nodes["n1"].view.preference(sim.nodes["n1"].view.partition(KEY))
    sim.isolate(order[0])
    sim.run(0.1)
    heals = [failing(sim, order[3]), failing(sim, order[4])]
    sim.put(order[1], KEY, b"v")
    sim.run(2.0)
    for heal in reversed(heals):
        heal()
    assert not any(sim.nodes[name].hints.count() for name in order[3:])
    assert sum(sim.nodes[name].hints.kept for name in order[3:]) == 0
    sim.put(order[1], KEY, b"w")
    sim.until(lambda: any(sim.nodes[name].hints.count() for name in order[3:]))
    for name in order[3:]:
        account = sim.nodes[name].hints.account()
        assert account.pop("hints_kept") == sum(account.values())


def test_what_was_acknowledged_from_memory_is_stored_once_the_disk_is_back() -> None:
    sim = buffered(durable_replicas=0)
    heal = failing(sim, "n2")
    sim.put("n1", KEY, b"1", w=3)
    sim.run(5.0)
    assert not sim.stores["n2"].tables["objects"]
    assert [v.value for v in sim.get("n2", KEY, r=3).siblings] == [b"1"]
    heal()
    sim.run(2.0)
    assert sim.stores["n2"].tables["objects"]


def test_a_node_whose_disk_is_full_answers_so_and_serves_again_afterwards() -> None:
    sim = buffered(durability="batched")
    for name in sim.names:
        failing(sim, name)
    assert sim.put("n1", KEY, b"1").code in ("storage-write", "write-quorum")
    assert sim.get("n1", KEY).siblings == ()
    del sim._persist  # the class's own is back
    sim.run(2.0)
    assert isinstance(sim.put("n1", KEY, b"2", w=3), PutReply)


# ---- rows that are damaged


def damage(sim: Simulator, name: str, store: BadStore, *keys: bytes) -> None:
    store.damaged |= {sim.nodes[name].replica.row(key) for key in keys}


def filled(n: int = 30) -> tuple[Simulator, BadStore]:
    sim = Simulator(3, anti_entropy_interval=1000.0)
    store = with_bad_disk(sim, "n2")
    for i in range(n):
        sim.put("n1", b"k%d" % i, b"v%d" % i, w=3)
    return sim, store


def test_a_damaged_row_aborts_no_scan_and_no_start() -> None:
    sim, store = filled()
    damage(sim, "n2", store, b"k3", b"k4")
    restart(sim, "n2", None)
    rows = sim.admin("n2", "dump", limit=1000)["rows"]
    assert {row["key"] for row in rows} == {b"k%d" % i for i in range(30)} - {b"k3", b"k4"}
    assert {fields["key"] for fields in emitted(sim, "row-damaged")} == {b"k3", b"k4"}
    assert sim.admin("n2", "status")["damaged"] == 2


@pytest.mark.parametrize("known", ["at start", "when read"])
def test_anti_entropy_heals_a_damaged_row(known: str) -> None:
    sim, store = filled()
    damage(sim, "n2", store, b"k3", b"k4")
    if known == "at start":
        restart(sim, "n2", None)
    else:
        for key in (b"k3", b"k4"):
            assert isinstance(sim.get("n2", key, r=3, sloppy=False), Refusal)
    sim.admin("n1", "repair")
    sim.until(lambda: not store.damaged)
    sim.until(lambda: sim.admin("n2", "status")["damaged"] == 0)
    for key, value in ((b"k3", b"v3"), (b"k4", b"v4")):
        read = sim.get("n2", key, r=3, sloppy=False)
        assert [v.value for v in read.siblings] == [value]
    sim.run(1.0)
    roots = [{p: node.trees.of(p).root() for p in range(64)} for node in sim.nodes.values()]
    assert roots[0] == roots[1] == roots[2]


@pytest.mark.parametrize("reader", ["n1", "n2", "n3"])
def test_a_read_heals_a_damaged_row(reader: str) -> None:
    """Found by simulate (seed 14301): without anti-entropy nothing else does, and a read repaired
    only what had answered it."""
    sim, store = filled()
    damage(sim, "n2", store, b"k3")
    assert [v.value for v in sim.get(reader, b"k3", r=2).siblings] == [b"v3"]
    sim.run(1.0)
    assert not store.damaged
    assert [v.value for v in sim.get("n2", b"k3", r=3, sloppy=False).siblings] == [b"v3"]
    assert sim.admin("n2", "status")["damaged"] == 0


def test_a_copy_that_a_node_refuses_as_it_cannot_read_is_logged() -> None:
    sim, store = filled()
    store.unreadable = True
    sim.put("n1", b"k3", b"w", w=2)
    (refused,) = emitted(sim, "copy-refused")
    assert (refused["key"], refused["code"]) == (b"k3", "storage-read")


def test_a_healed_record_is_stamped_under_a_new_epoch() -> None:
    sim, store = filled()
    reply = sim.put("n2", b"k3", b"again", w=3)
    before = sim.nodes["n2"].replica.own(b"k3")
    assert before is not None
    damage(sim, "n2", store, b"k3")
    with pytest.raises(Damaged):
        sim.nodes["n2"].replica.own(b"k3")
    sim.admin("n1", "repair")
    sim.until(lambda: not store.damaged)
    healed = sim.nodes["n2"].replica.own(b"k3")
    assert healed is not None
    assert healed.actor is None
    sim.put("n2", b"k3", b"more", reply.context, w=3)
    after = sim.nodes["n2"].replica.own(b"k3")
    assert after is not None
    assert after.actor not in (None, before.actor)


def test_a_write_replaces_a_damaged_row_with_what_another_replica_knows() -> None:
    sim, store = filled()
    damage(sim, "n2", store, b"k3")
    sim.put("n1", b"k3", b"beside", w=3)
    assert sim.holders(b"k3")["n2"] == {b"v3", b"beside"}


def test_a_coordinator_with_a_damaged_row_leaves_the_put_to_another() -> None:
    sim, store = filled()
    damage(sim, "n2", store, b"k3")
    reply = sim.put("n2", b"k3", b"beside", w=2)
    assert isinstance(reply, PutReply)
    assert sim.holders(b"k3")["n1"] == {b"v3", b"beside"}


def test_a_read_error_is_not_taken_for_a_not_found() -> None:
    """A disk that does not answer loses nothing and heals nothing: replicas that only fail
    to read must not be taken for empty ones, nor their records be begun again."""
    sim, store = filled()
    store.unreadable = True
    refused = sim.get("n2", b"k3", r=3, sloppy=False)
    assert isinstance(refused, Refusal)
    read = sim.get("n2", b"k3", r=2)
    assert [v.value for v in read.siblings] == [b"v3"]
    rows = dict(store.tables["objects"])
    sim.put("n1", b"k3", b"beside", w=2)
    sim.admin("n2", "repair")
    sim.run(3.0)
    assert store.tables["objects"] == rows
    store.unreadable = False
    sim.admin("n1", "repair")
    sim.until(lambda: sim.holders(b"k3")["n2"] == {b"v3", b"beside"})


def test_a_node_that_cannot_read_its_disk_waits_instead_of_starting_empty() -> None:
    sim, store = filled()
    sim.crash("n2")
    store.unreadable = True
    sim.boot("n2")
    sim.run(5.0)
    assert not sim.nodes["n2"].ready
    assert emitted(sim, "storage-unreadable")
    store.unreadable = False
    sim.until(lambda: sim.nodes["n2"].ready)
    assert sim.nodes["n2"].trees.objects == 30


def test_one_record_that_cannot_be_read_does_not_keep_the_others_from_repair() -> None:
    sim, store = filled()
    rows = [sim.nodes["n2"].replica.row(b"k%d" % i) for i in range(30)]
    other = sim.stores["n1"] = BadStore()
    other.tables = {t: dict(r) for t, r in store.tables.items()}
    for row in rows[:10]:
        del store.tables["objects"][row]
    restart(sim, "n2", None)
    get = sim.nodes["n1"].objects._store.get

    def fail(table: str, key: bytes) -> bytes | None:
        if key == rows[0]:
            raise ReadFailed("one bad sector")
        return get(table, key)  # type: ignore[arg-type]

    sim.nodes["n1"].objects._store.get = fail  # type: ignore[method-assign, assignment]
    sim.isolate("n3")
    sim.admin("n1", "repair")
    sim.until(lambda: all(row in store.tables["objects"] for row in rows[1:]))
    assert rows[0] not in store.tables["objects"]


def test_a_damaged_hint_is_dropped_and_does_not_stay_for_ever() -> None:
    sim = Simulator(5)
    view = sim.nodes["n1"].view
    order = view.preference(view.partition(KEY))
    target, fallback = order[0], order[3]
    store = with_bad_disk(sim, fallback)
    sim.crash(target)
    sim.run(0.1)
    sim.put(order[1], KEY, b"1", w=3)
    assert sim.nodes[fallback].hints.count() == {target: 1}
    store.damaged |= set(store.tables["hints"])
    sim.boot(target)
    sim.until(sim.quiet)
    assert not store.tables["hints"]
    assert sim.holders(KEY)[target] == {b"1"}


def test_a_damaged_identity_begins_a_new_incarnation() -> None:
    sim, store = filled()
    sim.put("n2", KEY, b"1", w=3)
    before = sim.nodes["n2"].identity.actor(1)
    store.damaged |= {b"identity", b"membership"}
    restart(sim, "n2", None)
    assert sim.nodes["n2"].identity.actor(1).split(":")[1] != before.split(":")[1]
    sim.put("n2", KEY, b"2", w=3)
    assert sim.holders(KEY)["n1"] == {b"1", b"2"}


def test_keys_that_cannot_be_read_fail_their_exchange_once_and_not_the_node() -> None:
    sim = Simulator(members=3)
    sim.isolate("n1")
    for i in range(20):
        sim.put("n2", b"k%d" % i, b"v")
    get = sim.stores["n1"].get

    def refuse(table: str, key: bytes) -> bytes | None:
        if table == "objects":
            raise ReadFailed("one bad sector after another")
        return get(table, key)

    sim.stores["n1"].get = refuse  # type: ignore[method-assign]
    sim.heal()
    sim.until(lambda: emitted(sim, "exchange-failed"))
    sim.run(0.5)
    sim.stores["n1"].get = get  # type: ignore[method-assign]
    sim.until(sim.quiet)
    assert len(sim.stores["n1"].tables["objects"]) == 20


def test_many_hints_for_what_this_node_holds_itself_are_handed_off_without_depth() -> None:
    """After its target was removed, and the node owns its keys, and has them already."""
    sim = Simulator(members=3, n=2, w=1, anti_entropy_interval=3600.0)
    target, keeper = "n1", sim.nodes["n2"]
    sim.crash(target)
    sim.run(0.1)
    for i in range(1000):
        sim.put("n2", b"k%d" % i, b"v", w=2)
    held = keeper.hints.count()[target]
    assert held > 300
    keeper.hints.destinations = lambda target, key: (keeper.params.node,)
    keeper.hints.keep = lambda key, state, done: done(None)
    sim.until(lambda: not keeper.hints.count())
    assert keeper.hints.handed_off >= held
