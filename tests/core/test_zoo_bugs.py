"""Each planted bug does the wrong thing, and the node without it does not. The others of the
zoo are convicted by the random load of test_stress."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from dynamesis.cluster.core.node.node import Node
from dynamesis.cluster.core.protocol.events import TimerFired
from dynamesis.cluster.core.protocol.messages import (
    Entry,
    GetReply,
    Put,
    PutReply,
    Reap,
    RequestOptions,
    Version,
)
from dynamesis.cluster.core.protocol.storage_reader import ReadFailed
from dynamesis.cluster.core.storage.row_keys import hint_row
from dynamesis.cluster.core.versions.context import BadContext
from dynamesis.cluster.zoo import BUGS, plant
from simulator import Simulator
from test_stress import CONVICTED

K = b"k"
Look = Callable[[Simulator], Any]


def _node(sim: Simulator, name: str = "n1") -> Any:
    return sim.nodes[name]


def _owner(sim: Simulator, key: bytes = K) -> str:
    """The first primary of a key."""
    view = _node(sim).view
    return str(view.primaries(view.partition(key))[0])


def _crashed(sim: Simulator, name: str) -> None:
    sim.run(0.1)
    sim.crash(name)
    sim.boot(name)
    sim.run(0.1)


def same_name_after_a_kill(sim: Simulator) -> bool:
    first = _node(sim).identity.new_actor()
    _crashed(sim, "n1")
    return bool(_node(sim).identity.new_actor() == first)


def same_name_after_a_wipe(sim: Simulator) -> bool:
    first = _node(sim).identity.new_actor()
    sim.wipe("n1")
    _crashed(sim, "n1")
    return bool(_node(sim).identity.new_actor() == first)


def same_name_of_two(sim: Simulator) -> bool:
    return bool(_node(sim).identity.new_actor() == _node(sim, "n2").identity.new_actor())


def repair_forgets_actors(sim: Simulator) -> bool:
    state = {f"a{i}": Entry(1) for i in range(12)}
    return len(_node(sim).objects.combine({}, state, "read-repair")) < 12


def _two_dates() -> dict[str, Entry]:
    return {name: Entry(1, ((1, Version(b"v", at=at)),)) for name, at in (("a", 5), ("b", 9))}


def winner_forgets_loser(sim: Simulator) -> bool:
    return "a" not in _node(sim).versioning.lww.settle(_two_dates())


def dated_before_what_it_replaces(sim: Simulator) -> bool:
    version = _node(sim).versioning.lww.date(Version(b"v"), {"@": Entry(100)}, {}, 50)
    return bool(version.at < 100)


def older_wins(sim: Simulator) -> bool:
    both, node = _two_dates(), _node(sim)
    older = {"a": both["a"], "@": Entry(5)}
    newer = {"b": both["b"], "@": Entry(9)}
    kept = node.versioning.lww.settle(node.objects.combine(newer, older, "handoff"))
    return "b" not in {actor for actor, entry in kept.items() if entry.values}


def acknowledged_without_a_primary(sim: Simulator) -> bool:
    """A primary dies in mid-put, and its answer was asked for."""
    view = _node(sim).view
    first, second, _ = view.primaries(view.partition(K))
    sim.crash(second)
    return isinstance(sim.put(first, K, b"v", pw=3), PutReply)


def durable_too_early(sim: Simulator) -> bool:
    done: list[str | None] = []
    runtime = _node(sim).runtime
    first = runtime.persist((), lambda code: None)
    runtime.persist((), done.append)
    runtime.persisted(first)
    return bool(done)


def repairs_what_is_equal(sim: Simulator) -> bool:
    sim.put("n1", K, b"v")
    sim.run(3)
    sim.get("n1", K)
    sim.run(1)
    return any(node.stats.read_repairs for node in sim.nodes.values())


def late_ones_stay_stale(sim: Simulator) -> bool:
    """Without anti-entropy and fallbacks a replica that missed a write needs a read."""
    stale = _owner(sim)
    other = next(name for name in sim.names if name != stale)
    for number in range(8):
        key = b"%d" % number
        if stale in _node(sim).view.primaries(_node(sim).view.partition(key)):
            sim.put(other, key, b"old")
            sim.run(0.1)
            sim.isolate(stale)
            sim.put(other, key, b"new", sloppy=False)
            sim.heal()
            sim.run(0.1)
            sim.get(other, key, r=1)
            sim.run(1)
            if len(set(map(frozenset, sim.holders(key).values()))) > 1:
                return True
    return False


def _damage(sim: Simulator, table: str, name: str) -> bytes:
    """The first row of a table, which now is none."""
    rows = sim.stores[name].tables[table]
    row = next(iter(rows))
    rows[row] = b"no record"
    return row


def unreadable_is_absent(sim: Simulator) -> bool:
    owner = _owner(sim)
    sim.put(owner, K, b"v")
    sim.run(0.1)
    row = _damage(sim, "objects", owner)
    try:
        return _node(sim, owner).objects.get(row) is None
    except ReadFailed:
        return False


def no_objections(sim: Simulator) -> bool:
    agreed: list[Any] = []
    question = Reap(0, "fence", "n1 1", _node(sim).view.layout.version, {b"never written": 1})
    _node(sim).reaper.put(_owner(sim, b"never written"), question, agreed.extend)
    _node(sim).reaper.put(_other(sim, b"never written"), question, agreed.extend)
    sim.feed("n1", TimerFired("next"))
    sim.run(1)
    return bool(agreed)


def _other(sim: Simulator, key: bytes) -> str:
    view = _node(sim).view
    return next(n for n in view.primaries(view.partition(key)) if n != "n1")


def named_as_before_it_was_forgotten(sim: Simulator) -> bool:
    owner = _owner(sim)
    objects, row = _node(sim, owner).objects, _node(sim, owner).replica.row(K)
    sim.put(owner, K, b"v")
    first = objects.get(row).actor
    objects.remove(row, lambda code: None)
    sim.put(owner, K, b"v")
    return bool(objects.get(row).actor == first)


def delete_leaves_nothing(sim: Simulator) -> bool:
    context = sim.put("n1", K, b"v").context
    sim.call("n1", Put(1, "again", K, b"", context, True, RequestOptions()))
    sim.run(0.1)
    return not sim.holders(K)


def one_hint_replaces_another(sim: Simulator) -> bool:
    hints = _node(sim).hints
    state = {"a": Entry(1, ((1, Version(b"v")),))}
    for target in ("n2", "n3"):
        hints.records.merge(hint_row(target, K), state, "put", lambda code: None)
    return len(hints.targets(K)) == 1


def hint_goes_to_a_ghost(sim: Simulator) -> bool:
    return bool(_node(sim).hints.destinations("n9", K) == ("n9",))


def a_damaged_hint_stays(sim: Simulator) -> bool:
    away = _owner(sim)
    sim.isolate(away)
    sim.put(next(name for name in sim.names if name != away), K, b"v")
    sim.run(0.1)
    holder = next(name for name in sim.names if sim.stores[name].tables["hints"])
    _damage(sim, "hints", holder)
    sim.heal()
    sim.run(3)
    return bool(_node(sim, holder).hints.count())


def no_exchange_after_one_that_failed(sim: Simulator) -> bool:
    sim.run(1)
    exchanges = _node(sim).anti_entropy
    exchanges.begin_all()
    exchange = exchanges._running["n2"]
    exchanges.finished(exchange, "timeout")
    return "n2" in exchanges._running


def one_damaged_row_ends_a_scan(sim: Simulator) -> bool:
    owner = _owner(sim)
    for number in range(40):
        sim.put(owner, b"%d" % number, b"v")
    sim.run(0.1)
    _damage(sim, "objects", owner)
    try:
        return not list(_node(sim, owner).objects.scan())
    except ReadFailed:
        return True


def trusts_trees_of_before_a_crash(sim: Simulator) -> bool:
    sim.put("n1", K, b"v")
    sim.run(3)
    _crashed(sim, "n1")
    return not _node(sim).trees.rebuilds


def has_no_tree_for_a_while(sim: Simulator) -> bool:
    node = _node(sim)
    node.trees.expire()
    return not node.trees.complete


def newcomer_throws_away(sim: Simulator) -> bool:
    for number in range(40):
        sim.put("n1", b"%d" % number, b"v")
    sim.add("n6")
    sim.admin("n1", "join", node="n6")
    sim.until(lambda: bool(_node(sim, "n6").trees.objects))
    most = 0
    for _ in range(1000):
        sim.run(0.002)
        held = _node(sim, "n6").trees.objects
        if held < most // 2:
            return True
        most = max(most, held)
    return False


def later_date_wins(sim: Simulator) -> bool:
    sim.add("n6")
    sim.admin("n1", "join", node="n6")
    sim.run(1)
    return bool(_node(sim).membership.layout.version > 1000)


def two_plans_stand(sim: Simulator) -> bool:
    for name in ("n6", "n7"):
        sim.add(name)
    sim.isolate("n1", "n2", "n6")
    sim.admin("n1", "join", node="n6")
    sim.admin("n3", "join", node="n7")
    sim.run(1)
    made = _node(sim, "n1").membership.layout, _node(sim, "n3").membership.layout
    return made[1].version > 1 and made[0].target != made[1].target


def twice_in_a_row(sim: Simulator) -> bool:
    rules = _node(sim).rules
    ring = rules.ring(rules.claim(("n1", "n2", "n3"), 64))
    return any(len(set(ring.primaries(p))) < 3 for p in range(64))


def slices_without_end(sim: Simulator) -> bool:
    admission = _node(sim).admission
    for number in range(200):
        admission._reads.record(sim.now + number / 1000, 9.0)
    sim.run(1)
    admission.adjust()
    return bool(admission.slices > 16)


def other_keys_context_is_taken(sim: Simulator) -> bool:
    contexts = _node(sim).services.contexts
    try:
        return bool(contexts.read(b"other", contexts.token(K, {"a": Entry(1)})))
    except BadContext:
        return False


def put_forgets_actors(sim: Simulator) -> bool:
    state = {f"a{i}": Entry(1) for i in range(12)}
    after = _node(sim).objects.apply({}, Version(b"v"), state, "n1:1:1", 1)
    return len(after) < 13


def stamps_again(sim: Simulator) -> bool:
    return isinstance(_doubtful_put(sim), PutReply)


def gives_an_earlier_answer(sim: Simulator) -> bool:
    sim.put(_forwarder(sim), K, b"earlier")
    return isinstance(_doubtful_put(sim), PutReply)


def _forwarder(sim: Simulator) -> str:
    """A node that must forward a put of K, and the node it forwards to."""
    view = _node(sim).view
    return next(name for name in sim.names if name not in view.primaries(view.partition(K)))


def _doubtful_put(sim: Simulator) -> Any:
    """What becomes of a put whose coordinator dies while it is asked."""
    sim.latency = (0.01, 0.02)
    channel = sim.ask(_forwarder(sim), Put(1, "doubtful", K, b"v"))
    sim.run(0.005)
    sim.crash(_owner(sim))
    sim.until(lambda: channel in sim.replies)
    return sim.replies[channel]


def alone_is_enough(sim: Simulator) -> bool:
    owner = _owner(sim)
    sim.isolate(owner)
    return isinstance(sim.put(owner, K, b"v"), PutReply)


def ignorance_counts(sim: Simulator) -> bool:
    view = _node(sim).view
    first, *others = view.primaries(view.partition(K))
    for name in others:
        sim.crash(name)
    sim.run(0.1)
    return isinstance(sim.get(first, K), GetReply)


def answers_before_the_disk(sim: Simulator) -> bool:
    sim.fsync = (9.0, 9.0)
    channel = sim.ask(_owner(sim), Put(1, "hasty", K, b"v"))
    sim.run(0.5)
    return isinstance(sim.replies.get(channel), PutReply)


def silence_is_taken_for_thanks(sim: Simulator) -> bool:
    return bool(_node(sim).hints.is_kept("timeout"))


def _holder(sim: Simulator) -> tuple[str, str]:
    """(a node that holds a hint, the hint's target): the target is cut off."""
    away = _owner(sim)
    sim.isolate(away)
    sim.put(next(name for name in sim.names if name != away), K, b"v")
    sim.run(0.1)
    return next(name for name in sim.names if sim.stores[name].tables["hints"]), away


def hints_are_not_found_again(sim: Simulator) -> bool:
    holder, _ = _holder(sim)
    _crashed(sim, holder)
    return not _node(sim, holder).hints.count()


def leaver_takes_hints_along(sim: Simulator) -> bool:
    holder, away = _holder(sim)
    sim.admin(next(n for n in sim.names if n not in (holder, away)), "leave", node=holder)
    sim.run(1)
    return not sim.stores[holder].tables["hints"]


def what_comes_replaces(sim: Simulator) -> bool:
    ours = {"a": Entry(1, ((1, Version(b"new")),))}
    return "a" not in _node(sim).objects.combine(ours, {"b": Entry(1)}, "handoff")


def transfer_is_stamped(sim: Simulator) -> bool:
    incoming = {"a": Entry(1, ((1, Version(b"v")),))}
    return len(_node(sim).objects.combine({}, incoming, "pending")) > 1


def removed_comes_back(sim: Simulator) -> bool:
    stale = _node(sim).membership.layout
    sim.crash("n5")
    sim.admin("n1", "remove", node="n5")
    sim.run(1)
    _node(sim).membership.adopt(stale, {})
    return "n5" in _node(sim).membership.layout.members


def founds_alone(sim: Simulator) -> bool:
    sim.add("n6")
    layout = _node(sim, "n6").membership.layout
    return layout is not None and layout.members == ("n6",)


def once_suspected_always_suspected(sim: Simulator) -> bool:
    detector = _node(sim).detector
    for _ in range(9):
        detector.outcome("n2", "timeout")
    detector.contacted("n2")
    return not detector.healthy("n2")


SHOWN: dict[str, Look] = {
    "foreign-context": other_keys_context_is_taken,
    "prune-clock": put_forgets_actors,
    "double-stamp": stamps_again,
    "stale-forward": gives_an_earlier_answer,
    "handoff-coordinates": transfer_is_stamped,
    "w-counts-twice": alone_is_enough,
    "notfound-quorum": ignorance_counts,
    "ack-before-durable": answers_before_the_disk,
    "hint-early-delete": silence_is_taken_for_thanks,
    "hints-forgotten": hints_are_not_found_again,
    "decommission-drops-hints": leaver_takes_hints_along,
    "handoff-overwrites": what_comes_replaces,
    "ghost-member": removed_comes_back,
    "lone-ring": founds_alone,
    "banned-forever": once_suspected_always_suspected,
    "lazy-epoch": same_name_after_a_kill,
    "amnesia": same_name_after_a_wipe,
    "equal-actors": same_name_of_two,
    "prune-in-repair": repair_forgets_actors,
    "lww-own-clock": winner_forgets_loser,
    "lww-client-time": dated_before_what_it_replaces,
    "lww-arrival": older_wins,
    "pw-on-plan": acknowledged_without_a_primary,
    "log-tail": durable_too_early,
    "repair-equal": repairs_what_is_equal,
    "no-linger": late_ones_stay_stale,
    "error-is-notfound": unreadable_is_absent,
    "reap-at-w": no_objections,
    "doomstone": named_as_before_it_was_forgotten,
    "hard-delete": delete_leaves_nothing,
    "hint-key-collision": one_hint_replaces_another,
    "hint-to-ghost": hint_goes_to_a_ghost,
    "torn-hint": a_damaged_hint_stays,
    "half-open-slot": no_exchange_after_one_that_failed,
    "one-bad-value": one_damaged_row_ends_a_scan,
    "aae-dirty-tree": trusts_trees_of_before_a_crash,
    "aae-expired-tree": has_no_tree_for_a_while,
    "early-cleanup": newcomer_throws_away,
    "clock-merge": later_date_wins,
    "double-claim": two_plans_stand,
    "tail-violation": twice_in_a_row,
    "unthrottled": slices_without_end,
}
#: what a scenario needs of the cluster
PARAMS: dict[str, dict[str, Any]] = {"no-linger": {"anti_entropy_interval": 1e6}}


def test_every_bug_is_shown_somewhere() -> None:
    by_transfers = {"source-deletes", "no-final-sync"}  # they need two nodes and a cut link
    assert set(BUGS) == {*SHOWN, *CONVICTED, *by_transfers}


@pytest.mark.parametrize("name", SHOWN)
@pytest.mark.parametrize("planted", [True, False])
def test_only_the_planted_node_does_it(name: str, planted: bool) -> None:
    node_class = BUGS[name].node if planted else Node
    sim = Simulator(node_class=node_class, **PARAMS.get(name, {}))
    assert SHOWN[name](sim) is planted


def test_two_bugs_can_be_planted_in_one_node() -> None:
    sim = Simulator(node_class=plant(["no-linger", "equal-actors", "lone-ring"]))
    assert same_name_of_two(sim)
    assert founds_alone(sim)


def test_two_bugs_of_one_part_are_refused() -> None:
    with pytest.raises(ValueError, match="two of these bugs replace get_request"):
        plant(["no-linger", "repair-equal"])
