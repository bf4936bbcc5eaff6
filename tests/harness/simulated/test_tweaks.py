"""Perturbations of effects: which, how often, and the same again."""

from __future__ import annotations

from itertools import pairwise
from random import Random
from typing import get_args

import pytest
from dynamesis.cluster.core.protocol import messages
from dynamesis.cluster.core.protocol.events import (
    Effect,
    Emit,
    Persist,
    Reply,
    Send,
    SetTimer,
    Write,
)
from dynamesis.cluster.core.protocol.messages import Life, Ping, ReplicaGet
from dynamesis.harness.worlds.simulated.tweaks import (
    NOTHING,
    POINTS,
    Perturber,
    Priorities,
    Tweaks,
    Unsent,
    perturb,
)

PING = Send("n2", Ping(1, Life(1, 1)))
READ = Send("n2", ReplicaGet(1, b"k", None))
BATCH = Persist(1, (Write("objects", b"r", b"v"),))
HINTS = Persist(1, (Write("hints", b"r", b"v"),))
EFFECTS: list[Effect] = [PING, READ, BATCH, HINTS, SetTimer("next", 1.0), Emit("x", {})]


def test_every_point_names_an_effect_and_kinds_that_there_are() -> None:
    tables = get_args(Write.__annotations__["table"]) or ("objects", "hints", "meta")
    for name, point in POINTS.items():
        assert point.effect in (*get_args(Effect), Unsent), name
        for kind in point.kinds:
            assert kind in tables or hasattr(messages, kind), f"{name}: {kind}"


def test_nothing_is_perturbed_or_drawn_without_points() -> None:
    def roll() -> float:
        raise AssertionError

    assert all(perturb(Tweaks(), roll, effect) is NOTHING for effect in EFFECTS)


@pytest.mark.parametrize("name", POINTS)
def test_a_certain_point_strikes_all_that_it_names_and_nothing_else(name: str) -> None:
    tweaks, point = Tweaks(points={name: 1.0}), POINTS[name]
    kinds = {"Ping": PING, "ReplicaGet": READ, "objects": BATCH, "hints": HINTS}
    roll = Random(7).random
    for kind, effect in kinds.items():
        found = perturb(tweaks, roll, effect)
        strikes = type(effect) is point.effect and (not point.kinds or kind in point.kinds)
        assert (found.point == name) is strikes
        if strikes:
            assert point.delays[0] <= found.delay <= point.delays[1]
            assert found.fails == point.fails


def test_a_point_strikes_about_as_often_as_its_probability() -> None:
    perturber = Perturber(Tweaks(points={"probe-held": 0.1}), "3")
    for _ in range(10_000):
        perturber.on(PING)
        perturber.on(READ)
    assert 850 < perturber.struck["probe-held"] < 1150
    assert set(perturber.struck) == {"probe-held"}


def test_the_same_seed_perturbs_the_same_effects() -> None:
    tweaks = Tweaks(points=dict.fromkeys(POINTS, 0.3), priorities=5)

    def played(seed: str) -> list[object]:
        perturber = Perturber(tweaks, seed)
        slow = perturber.priorities
        assert slow is not None
        return [
            (perturber.on(effect), slow.delay("n1", "n2")) for _ in range(50) for effect in EFFECTS
        ]

    assert played("5") == played("5")
    assert played("5") != played("6")


def test_after_calm_nothing_is_perturbed() -> None:
    perturber = Perturber(Tweaks(points=dict.fromkeys(POINTS, 1.0), priorities=3), "1")
    perturber.calm()
    assert all(perturber.on(effect) is NOTHING for effect in EFFECTS)
    assert perturber.priorities is None
    assert not perturber.rare


def test_priorities_differ_between_links_and_change_so_often() -> None:
    pairs = [(a, b) for a in "abc" for b in "abc" if a != b]
    slow = Priorities(3, Random(2).random)
    rounds = [tuple(slow.delay(a, b) for a, b in pairs) for _ in range(700)]
    assert len(set(rounds[0])) > 1
    changes = sum(a != b for a, b in pairwise(rounds))
    assert 1 <= changes <= 3


def test_a_message_is_refused_only_where_it_is_not_sent_yet() -> None:
    tweaks = Tweaks(points={"send-refused": 1.0})
    assert perturb(tweaks, Random(1).random, Unsent("n2", PING.message)).fails
    assert perturb(tweaks, Random(1).random, PING) is NOTHING


def test_tweaks_go_through_json() -> None:
    tweaks = Tweaks((0.1, 0.2), (0.0, 0.0), {"timer-early": 0.5}, 2)
    assert Tweaks.of(tweaks.to_dict()) == tweaks
    assert Tweaks().to_dict() == {}
    assert Tweaks.of({}) == Tweaks()


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"points": {"no-such": 0.1}}, "no point 'no-such'"),
        ({"points": {"batch-late": 1.5}}, "batch-late is 1.5"),
        ({"latency": [0.2, 0.1]}, "latency is 0.2 to 0.1"),
        ({"priorities": -1}, "priorities is -1"),
        ({"speed": 3}, "no tweak 'speed'"),
    ],
)
def test_tweaks_that_make_no_sense_are_refused(given: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Tweaks.of(given)


def test_an_answer_is_held_back_on_its_connection() -> None:
    found = perturb(Tweaks(points={"reply-held": 1.0}), Random(1).random, Reply(3, PING.message))
    assert found.point == "reply-held"
    assert found.delay > 0
