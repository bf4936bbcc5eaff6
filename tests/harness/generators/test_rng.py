"""The stream is fixed for ever: a changed constant would change every stored test."""

import math
from collections import Counter

import pytest
from dynamesis.harness.generators.distributions import (
    exponential,
    hot_key,
    uniform,
    weighted,
    zipf,
)
from dynamesis.harness.generators.rng import Rng


def draws(rng, how, n):
    values = []
    for _ in range(n):
        value, rng = how(rng)
        values.append(value)
    return values


def test_the_stream_is_splitmix64():
    # Reference values of Vigna's splitmix64.c for seed 1234567.
    assert draws(Rng(1234567), Rng.next, 5) == [
        6457827717110365317,
        3203168211198807973,
        9817491932198370423,
        4593380528125082431,
        16408922859458223821,
    ]


def test_a_draw_changes_nothing():
    rng = Rng(7)
    assert rng.next() == rng.next()
    assert rng == Rng(7)


def test_split_streams_differ_by_label_and_from_their_parent():
    rng = Rng(7)
    streams = [rng, rng.split("a"), rng.split("b"), rng.split(1), rng.split("a").split("a")]
    assert len({stream.next()[0] for stream in streams}) == 5
    assert rng.split("a") == rng.split("a")


def test_below_covers_its_range_and_nothing_else():
    values = draws(Rng(1), lambda rng: rng.below(3), 3000)
    assert all(900 < count < 1100 for count in Counter(values).values())
    assert set(values) == {0, 1, 2}
    assert set(draws(Rng(1), lambda rng: rng.between(5, 6), 50)) == {5, 6}


def test_nothing_to_draw_from_is_an_error():
    with pytest.raises(ValueError, match="nothing to draw from"):
        Rng(1).choice([])
    with pytest.raises(ValueError, match="cannot draw 3 of 2"):
        Rng(1).sample("ab", 3)


def test_floats_have_the_asked_mean():
    unit = draws(Rng(3), Rng.unit, 5000)
    assert 0 <= min(unit) <= max(unit) < 1
    assert math.isclose(sum(unit) / 5000, 0.5, abs_tol=0.02)
    gaps = draws(Rng(3), lambda rng: rng.exponential(10), 5000)
    assert min(gaps) >= 0
    assert math.isclose(sum(gaps) / 5000, 10, rel_tol=0.05)


def test_samples_are_without_repetition_and_a_shuffle_keeps_all():
    assert len(set(Rng(5).sample(range(10), 4)[0])) == 4
    shuffled = Rng(5).shuffle("abcdef")[0]
    assert sorted(shuffled) == list("abcdef")
    assert shuffled != tuple("abcdef")


@pytest.mark.parametrize(
    ("distribution", "first"),
    [
        (uniform("abcde"), 1 / 5),
        (zipf("abcde", 1.0), 1 / (1 + 1 / 2 + 1 / 3 + 1 / 4 + 1 / 5)),
        (hot_key("abcde", 0.9), 0.9),
        (exponential("abcde", 0.2, 0.8), 0.8),
        (weighted("abcde", [3, 0, 0, 1, 0]), 0.75),
    ],
)
def test_the_first_item_is_as_likely_as_the_distribution_defines(distribution, first):
    counts = Counter(draws(Rng(11), distribution.pick, 5000))
    assert math.isclose(counts["a"] / 5000, first, abs_tol=0.025)


def test_a_single_key_is_always_drawn():
    for distribution in (uniform, zipf, hot_key, exponential):
        assert distribution(["k"]).pick(Rng(1))[0] == "k"


@pytest.mark.parametrize("weights", [[1.0], [0.0, 0.0], [1.0, -1.0], [1.0, math.inf]])
def test_impossible_weights_are_refused(weights):
    with pytest.raises(ValueError, match="weights"):
        weighted("ab", weights)
