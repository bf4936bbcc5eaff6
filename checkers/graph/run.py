"""A run: a history with what is derived from it, each part computed at most once.

All checkers of a history share one Run. A model computes only the parts that it needs: the causal
order is that of a Dynamo store, and no other model has one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeVar

from dynamesis.checkers.graph.causality import Causality, causality
from dynamesis.checkers.history.history import History
from dynamesis.checkers.history.timeline import Timeline, timeline

T = TypeVar("T")


@dataclass(frozen=True)
class Run:
    """A history, and the test that it is of.

    history: must be well-formed before `order` is asked for
    test: test.json; None or empty for a history without one"""

    history: History
    test: Mapping[str, Any] | None = None
    _derived: dict[Any, Any] = field(default_factory=dict, init=False, repr=False, compare=False)

    @cached_property
    def order(self) -> Causality:
        """The true causal order of the versions."""
        return causality(self.history)

    @cached_property
    def timeline(self) -> Timeline:
        """The phases, faults and quiescence."""
        return timeline(self.history)

    def once(self, derive: Callable[[Run], T]) -> T:
        """What a function derives from this run; computed when first asked for, by whichever
        checker that is. Must not be changed."""
        if derive not in self._derived:
            self._derived[derive] = derive(self)
        found: T = self._derived[derive]
        return found
