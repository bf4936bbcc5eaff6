"""The collector and what has been decoded."""

from __future__ import annotations

import gc
import weakref

import pytest
from dynamesis.checkers.history.gc_pause import gc_frozen, gc_paused, gc_seldom


class Node:
    """Refers to itself."""

    def __init__(self) -> None:
        self.me = self


def test_what_was_there_is_passed_over_and_what_is_new_is_collected() -> None:
    assert gc.get_freeze_count() == 0
    old = weakref.ref(Node())
    with gc_frozen():
        new = weakref.ref(Node())
        gc.collect()
        assert old() is not None
        assert new() is None
        with gc_frozen():
            assert gc.get_freeze_count()
        assert gc.get_freeze_count(), "the outer one is still there"
    assert gc.get_freeze_count() == 0
    gc.collect()
    assert old() is None


def test_what_was_built_in_a_pause_is_old_after_it() -> None:
    with gc_paused():
        built = [[number] for number in range(2000)]
    young = {id(each) for generation in (0, 1) for each in gc.get_objects(generation)}
    assert young.isdisjoint(map(id, built))
    assert gc.get_freeze_count() == 0


@pytest.mark.parametrize("stays", [True, False])
def test_what_is_built_in_a_pause_while_something_is_frozen(stays: bool) -> None:
    """It is not looked at where it stays; else it must be, or it would wait for the end."""
    with gc_frozen(stays=stays):
        with gc_paused():
            built = [Node() for _ in range(2000)]
        one = weakref.ref(built[0])
        del built
        gc.collect()
        assert (one() is not None) == stays
    gc.collect()
    assert one() is None
    assert gc.get_freeze_count() == 0


def test_while_something_is_frozen_it_is_looked_seldom() -> None:
    before = gc.get_threshold()
    gc.set_threshold(700, 10, 10)
    try:
        with gc_frozen():
            assert gc.get_threshold()[0] > 10 * 700
        assert gc.get_threshold() == (700, 10, 10)
    finally:
        gc.set_threshold(*before)


def test_it_looks_seldom_and_as_often_as_before_after_that() -> None:
    before = gc.get_threshold()
    gc.set_threshold(700, 10, 10)
    try:
        with gc_seldom():
            seldom = gc.get_threshold()
            assert seldom[0] > 70_000
            with gc_seldom():
                assert gc.get_threshold() == seldom
            assert gc.get_threshold() == seldom
        assert gc.get_threshold() == (700, 10, 10)
    finally:
        gc.set_threshold(*before)


def test_where_it_never_looks_it_does_not_begin_to() -> None:
    before = gc.get_threshold()
    gc.set_threshold(0)
    try:
        with gc_seldom():
            assert gc.get_threshold()[0] == 0
    finally:
        gc.set_threshold(*before)
