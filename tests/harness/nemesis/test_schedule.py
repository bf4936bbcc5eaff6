from __future__ import annotations

from typing import Any

import pytest
from dynamesis.harness import generators as gen
from dynamesis.harness.generators.simulate import perfect
from dynamesis.harness.links.faults import FAULTS
from dynamesis.harness.nemesis import (
    PACKAGES,
    Event,
    FaultContext,
    FaultTimeline,
    Impossible,
    newcomers,
    plan,
    possible,
)
from dynamesis.harness.nemesis.catalogue import MEMBERS
from dynamesis.harness.nemesis.faults import action_from_value

FIVE = ("n1", "n2", "n3", "n4", "n5")
ALL_KINDS = frozenset(FAULTS)
CONTEXT = FaultContext.draw(FIVE, ALL_KINDS, seed=7)


def event(at: int, f: str, value: dict[str, Any]) -> Event:
    """An event from the value that the history has of it."""
    return Event(at, f, action_from_value(f, value))


#: what the seed 10 draws
PLANNED = (
    event(
        at=238,
        f="start-cut",
        value={
            "fault": 0,
            "member": "cut.exchange",
            "target": "giver",
            "key": "k0",
            "otherwise": "n2",
            "kind": "black-hole",
        },
    ),
    event(
        at=266,
        f="start-link",
        value={
            "fault": 1,
            "member": "link.torn",
            "kind": "torn",
            "with": {"piece_bytes": 10, "vary_bytes": 1},
            "links": [
                "n1-n2",
                "n1-n3",
                "n1-n4",
                "n1-n5",
                "n2-n1",
                "n2-n3",
                "n2-n4",
                "n2-n5",
                "n3-n1",
                "n3-n2",
                "n3-n4",
                "n3-n5",
                "n4-n1",
                "n4-n2",
                "n4-n3",
                "n4-n5",
                "n5-n1",
                "n5-n2",
                "n5-n3",
                "n5-n4",
            ],
        },
    ),
    event(
        at=759,
        f="start-kill",
        value={"fault": 2, "member": "kill.all", "nodes": ["n1", "n2", "n3", "n4", "n5"]},
    ),
    event(at=1132, f="stop-link", value={"fault": 1, "member": "link.torn"}),
    event(at=1378, f="stop-cut", value={"fault": 0, "member": "cut.exchange"}),
    event(at=2228, f="stop-kill", value={"fault": 2, "member": "kill.all"}),
    event(
        at=2898,
        f="start-link",
        value={
            "fault": 3,
            "member": "link.reorder",
            "kind": "frames",
            "with": {"drop": 0, "reorder": 27, "seed": 861738544},
            "links": ["n1-n2", "n2-n1", "n2-n3", "n2-n4", "n2-n5", "n3-n2", "n4-n2", "n5-n2"],
        },
    ),
    event(
        at=3138,
        f="start-cut",
        value={
            "fault": 4,
            "member": "cut.one-way",
            "kind": "black-hole",
            "grudge": {"n2": ["n1", "n4", "n5"], "n3": ["n1", "n4", "n5"]},
        },
    ),
    event(at=3323, f="start-kill", value={"fault": 5, "member": "kill.loop", "nodes": ["n1"]}),
    event(at=3521, f="stop-kill", value={"fault": 5, "member": "kill.loop"}),
    event(at=3719, f="start-kill", value={"fault": 6, "member": "kill.loop", "nodes": ["n1"]}),
    event(at=3917, f="stop-kill", value={"fault": 6, "member": "kill.loop"}),
)


def test_a_whole_plan() -> None:
    assert plan(["cut", "kill", "link"], CONTEXT, seed=10, limit=4.0) == PLANNED


def test_the_plan_of_a_month_can_still_be_read() -> None:
    events = plan(("storm",), CONTEXT, 7, 30 * 24 * 3600)
    assert 1000 < len(events) < 100_000
    assert max(event.at for event in events) > 29 * 24 * 3_600_000


def test_a_timeline_keeps_its_times_and_waits_for_the_nemesis() -> None:
    events = (
        event(0, "start-cut", {"fault": 0, "kind": "reset"}),
        event(5, "stop-cut", {"fault": 0}),
        event(5, "start-kill", {"fault": 1}),
    )
    source = gen.clients([gen.sleep(0.001), gen.invoke("w")], FaultTimeline(events))
    actions = [(op.time, op.type, op.process, op.f) for op in perfect(source, concurrency=1)]
    assert actions == [
        (0, "invoke", "nemesis", "start-cut"),
        (10, "ok", "nemesis", "start-cut"),
        (1_000_000, "invoke", 0, "w"),
        (1_000_010, "ok", 0, "w"),
        (5_000_000, "invoke", "nemesis", "stop-cut"),
        (5_000_010, "ok", "nemesis", "stop-cut"),
        (5_000_010, "invoke", "nemesis", "start-kill"),
        (5_000_020, "ok", "nemesis", "start-kill"),
    ]


def test_a_timeline_counts_from_when_it_is_first_asked() -> None:
    source = gen.phases(
        gen.sleep(2),
        gen.nemesis(FaultTimeline((event(500, "start-cut", {"fault": 0, "kind": "reset"}),))),
    )
    assert [op.time for op in perfect(source)] == [2_500_000_000, 2_500_000_010]


def test_the_same_seed_gives_the_same_plan_and_another_seed_another() -> None:
    plans = [plan(["cut", "pause"], CONTEXT, seed, 10.0) for seed in (1, 1, 2)]
    assert plans[0] == plans[1] != plans[2]


def test_the_more_families_the_longer_the_pauses() -> None:
    def busy(names: list[str]) -> float:
        """How many faults are active at a time, on average."""
        events, total = plan(names, CONTEXT, 3, 300.0), 0
        events = tuple(event for event in events if event.f != "start-membership")
        for event in events:
            total += event.at if event.f.startswith("stop-") else -event.at
            total += 300_000 if event.f.startswith("start-") else -300_000
        return total / 300_000

    assert 0.5 < busy(["cut"]) < 0.8
    assert 1 < busy(["storm"]) < 2.5


def test_the_holder_of_hints_is_hit_right_after_a_node_was_away() -> None:
    away, back, hit, _ = plan(["kill.hint-holder"], CONTEXT, 3, 10.0)[:4]
    assert [away.f, back.f, hit.f] == ["start-kill", "stop-kill", "start-kill"]
    assert hit.value["target"] == "hint-holder"
    assert away.value["nodes"] != [hit.value["otherwise"]]
    assert hit.at - back.at <= 0.1 * (back.at - away.at) + 1


def test_an_interval_comes_and_goes_in_its_period_with_the_same_victims() -> None:
    events = plan(["kill.loop"], CONTEXT, 3, 10.0)[:6]
    assert [event.f for event in events] == ["start-kill", "stop-kill"] * 3
    assert len({tuple(event.value["nodes"]) for event in events[::2]}) == 1


@pytest.mark.parametrize("seed", range(20))
def test_no_two_faults_hold_one_process_at_a_time(seed: int) -> None:
    held: dict[str, int] = {}
    for event in plan(["kill", "pause", "wipe"], CONTEXT, seed, 30.0):
        fault = event.value["fault"]
        if event.f.startswith("start-"):
            for node in event.value.get("nodes", ()):
                assert node not in held
                held[node] = fault
        else:
            held = {node: holder for node, holder in held.items() if holder != fault}


@pytest.mark.parametrize("limit", [1.0, 3.0, 10.0, 60.0])
@pytest.mark.parametrize("name", [name for name in PACKAGES if name != "none"])
def test_every_package_breaks_something_in_time_and_stops_what_it_started(
    name: str, limit: float
) -> None:
    events = plan([name], CONTEXT, 5, limit)
    starts = [event for event in events if event.f.startswith("start-")]
    assert starts
    assert all(0 < event.at < limit * 1000 for event in events)
    assert list(events) == sorted(events, key=lambda event: event.at)
    stopped = sum(event.f.startswith("stop-") for event in events)
    families = {event.f for event in starts}
    lasting = sum(event.f == "start-membership" for event in starts)
    assert 0 <= len(starts) - lasting - stopped <= len(families)
    assert len({event.value["fault"] for event in starts}) == len(starts)


def test_in_ten_seconds_each_family_breaks_something_three_times_or_so() -> None:
    starts = [
        sum(event.f == "start-cut" for event in plan(["cut"], CONTEXT, seed, 10.0))
        for seed in range(50)
    ]
    assert min(starts) >= 2
    assert 2.5 < sum(starts) / len(starts) < 5


def test_only_one_node_ever_loses_its_memory() -> None:
    victims = {
        node
        for seed in range(10)
        for event in plan(["wipe.one"], FaultContext.draw(FIVE, ALL_KINDS, 7), seed, 30.0)
        for node in event.value.get("nodes", ())
    }
    assert victims == {CONTEXT.forgetful}


def test_in_memory_storage_a_kill_is_a_wipe() -> None:
    for frail in ("volatile", "buffered"):
        context = FaultContext.draw(FIVE, ALL_KINDS, 7, **{frail: True})  # type: ignore[arg-type]
        for seed in range(10):
            names = ["kill", "wipe"] if context.volatile else ["kill", "disk.lost-writes"]
            for event in plan(names, context, seed, 30.0):
                assert event.value.get("nodes", [context.forgetful]) == [context.forgetful]


def test_the_removed_node_is_the_one_that_forgets_and_never_leaves() -> None:
    for seed in range(10):
        for event in plan(["membership"], CONTEXT, seed, 30.0):
            among = event.value["among"]
            assert (among == [CONTEXT.forgetful]) == (event.value["removes"] == 1)
            assert event.value["removes"] or CONTEXT.forgetful not in among


def test_ports_are_kept_for_as_many_as_may_join() -> None:
    assert newcomers(plan(["cut"], CONTEXT, 1, 10.0)) == 0
    assert newcomers(plan(["membership.two"], CONTEXT, 1, 3.0)) in (2, 4)
    assert newcomers(plan(["membership.two"], CONTEXT, 1, 300.0)) == 5


def test_none_does_nothing() -> None:
    assert plan(["none"], CONTEXT, 1, 10.0) == ()


@pytest.mark.parametrize(
    ("names", "context", "complaint"),
    [
        (["cutt"], CONTEXT, "no nemesis is called 'cutt'; there are: none, cut, link, kill"),
        (["none", "cut"], CONTEXT, "write none alone, or drop it"),
        (
            ["cut"],
            FaultContext(FIVE, frozenset(), "n1"),
            "it needs links that can do black-hole or",
        ),
        (
            ["cut.one-way"],
            FaultContext(FIVE, frozenset({"refused"}), "n1"),
            "needs links that can do",
        ),
        (
            ["cut.bridge"],
            FaultContext(("n1", "n2"), ALL_KINDS, "n1"),
            "needs 3 nodes and there are 2",
        ),
        (
            ["membership"],
            FaultContext(FIVE, ALL_KINDS, "n1", anti_entropy=False),
            "it needs anti-entropy",
        ),
        (["cut"], FaultContext(("n1",), ALL_KINDS, "n1"), "needs 2 nodes and there are 1"),
        (["wipe"], FaultContext(FIVE, ALL_KINDS, "n1", w=1), "the only copy"),
        (
            ["membership.leave"],
            FaultContext(FIVE[:3], ALL_KINDS, "n1"),
            "needs 4 nodes with 3 copies",
        ),
        (["membership.remove"], FaultContext(FIVE, ALL_KINDS, "n1", w=1), "the only copy"),
        (["membership.rejoin"], FaultContext(FIVE, ALL_KINDS, "n1", w=1), "the only copy"),
        (["membership.leave-and-back"], FaultContext(FIVE[:3], ALL_KINDS, "n1"), "needs 4 nodes"),
        (["kill.all"], FaultContext(FIVE, ALL_KINDS, "n1", buffered=True), "only in memory"),
        (["disk.lost-writes"], FaultContext(FIVE, ALL_KINDS, "n1", volatile=True), "outlives"),
        (["wipe.old-coordinator"], FaultContext(FIVE, ALL_KINDS, "n1", volatile=True), "outlives"),
        (["wipe.old-disk"], FaultContext(FIVE, ALL_KINDS, "n1", reaps=True), "param reap_after"),
        (["wipe"], FaultContext(FIVE, ALL_KINDS, "n1", buffered=True), "the only durable copy"),
        (
            ["disk.bit-flip"],
            FaultContext(FIVE, ALL_KINDS, "n1", buffered=True),
            "the only durable copy",
        ),
        (["kill.all"], FaultContext(FIVE, ALL_KINDS, "n1", volatile=True), "only in memory"),
    ],
)
def test_what_cannot_be_done_is_refused_with_the_reason(
    names: list[str], context: FaultContext, complaint: str
) -> None:
    with pytest.raises(Impossible) as error:
        possible(names, context)
    assert complaint in str(error.value)


def test_a_family_keeps_what_can_be_done() -> None:
    kept = possible(["cut"], FaultContext(FIVE, frozenset({"refused"}), "n1"))
    assert "cut.one-way" not in {member.name for member in kept["cut"]}
    assert "cut.bridge" in {member.name for member in kept["cut"]}


def test_every_member_is_a_package_and_belongs_to_a_family() -> None:
    for member in MEMBERS:
        assert PACKAGES[member.name].members == (member,)
        assert member in PACKAGES[member.family].members
        assert member in PACKAGES["storm"].members


@pytest.mark.parametrize("seed", range(40))
def test_no_disk_is_put_back_that_was_not_copied(seed: int) -> None:
    copied: set[str] = set()
    for event in plan(["storm"], CONTEXT, seed, 10.0):
        if event.value.get("disk") == "copied":
            copied.update(event.value["nodes"])
        if event.value.get("disk") == "restored":
            assert copied >= set(event.value["nodes"])


def test_what_needs_a_node_that_forgets_beside_a_wipe_is_left_out_unless_it_is_named() -> None:
    for names, wanted in (
        (["wipe", "membership"], set()),
        (["storm"], set()),
        (["wipe", "membership", "membership.rejoin"], {"membership.rejoin"}),
        (["membership"], {"membership.remove", "membership.rejoin"}),
    ):
        kept = possible(names, CONTEXT)["membership"]
        assert {member.name for member in kept if member.forgets} == wanted


def test_a_node_that_stopped_is_soon_killed() -> None:
    stop, start, kill = plan(["kill.after-stop"], CONTEXT, 3, 10.0)[:3]
    assert stop.value["signal"] == "SIGTERM"
    assert start.f == "stop-kill"
    assert kill.value["nodes"] == stop.value["nodes"]
    assert "signal" not in kill.value
    assert kill.at - start.at < start.at - stop.at


def test_two_lives_of_a_wiped_node_and_of_its_old_disk_begin_apart() -> None:
    for name, disks in (
        ("wipe.coordinator", [None]),
        ("wipe.old-coordinator", ["copied", "restored"]),
    ):
        starts = [e.value for e in plan([name], CONTEXT, 3, 10.0) if e.f == "start-wipe"]
        assert [value.get("disk") for value in starts[: len(disks)]] == disks
        assert starts[len(disks) - 1]["apart"]
        assert {*starts[0]["nodes"]} == {CONTEXT.forgetful}
