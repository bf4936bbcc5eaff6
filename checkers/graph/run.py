"""A run: a history with what is derived from it, each part computed at most once.

All checkers of a history share one Run. A model computes only the parts that it needs: the causal
order is that of a Dynamo store, and no other model has one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from dynamesis.checkers.graph.causality import Causality, causality
from dynamesis.checkers.history.history import History
from dynamesis.checkers.history.timeline import Timeline, timeline


@dataclass(frozen=True)
class Run:
    """A history, and the test that it is of.

    history: must be well-formed before `order` is asked for
    test: test.json; None or empty for a history without one"""

    history: History
    test: Mapping[str, Any] | None = None

    @cached_property
    def order(self) -> Causality:
        """The true causal order of the versions."""
        return causality(self.history)

    @cached_property
    def timeline(self) -> Timeline:
        """The phases, faults and quiescence."""
        return timeline(self.history)
