"""All small sequences: none is left out, and none is there twice."""

from __future__ import annotations

from itertools import product

import pytest
from dynamesis.harness.simulation.schedules.words import (
    Bounds,
    Word,
    canonical,
    is_request,
    sequences,
    words,
)


def every(bounds: Bounds) -> set[Word]:
    """Every sequence of letters within the bounds, one by one."""
    found: set[Word] = set()
    for length in range(bounds.faults + bounds.requests + 1):
        for word in product(bounds.letters, repeat=length):
            requests = sum(map(is_request, word))
            if requests <= bounds.requests and length - requests <= bounds.faults:
                found.add(word)
    return found


SMALL = (
    Bounds(0, 2),
    Bounds(1, 1),
    Bounds(1, 2),
    Bounds(2, 1),
    Bounds(1, 2, ("p", "g")),
    Bounds(2, 2, ("p",)),
    Bounds(3, 1, ("p",)),
)


@pytest.mark.parametrize("bounds", SMALL, ids=str)
def test_the_words_are_those_that_all_sequences_merge_into(bounds: Bounds) -> None:
    listed = list(words(bounds))
    assert len(listed) == len(set(listed))
    assert set(listed) == {canonical(word) for word in every(bounds)} - {()}


@pytest.mark.parametrize("bounds", SMALL, ids=str)
def test_all_sequences_are_as_many_as_counted_one_by_one(bounds: Bounds) -> None:
    assert sequences(bounds) == 6 * len(every(bounds))


@pytest.mark.parametrize("bounds", [Bounds(2, 2, ("p", "g")), Bounds(3, 1)], ids=str)
def test_a_canonical_word_is_its_own(bounds: Bounds) -> None:
    for word in every(bounds):
        once = canonical(word)
        assert canonical(once) == once
        assert len(once) <= len(word)


def w(text: str) -> Word:
    return tuple(text.split())


@pytest.mark.parametrize(
    ("word", "same"),
    [
        ("p1", "p0"),
        ("k1 p0", "k0 p1"),
        ("p0 k2 k1", "p0 k1 k2"),
        ("p0 k1 k1", "p0 k1"),
        ("p0 s1 k1", "p0 s1"),
        ("p0 m1 g0", "p0 g0"),
        ("p0 k1 m1", "p0 k1"),
        ("g0 d1 p0", "p0"),
        ("w1 p0", "k0 p1"),
        ("k1 m1 p0", "p0"),
        ("p0 w1 m1 w2 g0", "p0 w1 m1 g0"),
        ("c0 p0 m0", "c0 p0"),
        ("g0 g1", ""),
        ("k0 k1 k2", ""),
    ],
)
def test_words_in_which_the_same_happens_are_one(word: str, same: str) -> None:
    assert canonical(w(word)) == w(same)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("p0 k1", "k1 p0"),
        ("p0 k0", "p0 k1"),
        ("p0 p1", "p0 p0"),
        ("p0 k1 m1 g0", "p0 k1 g0"),
        ("p0 w1", "p0 k1"),
        ("p0 w1 m1 w1 g0", "p0 w1 m1 g0"),
        ("p0 k1 m1 s1", "p0 s1"),
        ("c0 p0 m0 k0", "c0 p0"),
        ("p0 g0", "p0"),
        ("p0 d0", "p0 g0"),
    ],
)
def test_words_in_which_something_else_happens_are_two(one: str, other: str) -> None:
    assert canonical(w(one)) != canonical(w(other))
    assert canonical(w(one))
    assert canonical(w(other))


def test_bounds_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ValueError, match="takes 0 or more"):
        Bounds(faults=-1)
    with pytest.raises(ValueError, match="takes 0 or more"):
        Bounds(kinds=("x",))
