"""Models of a user's own: FILE.py:NAME, or an entry point `dynamesis.checkers`. A model is a
function of a History that returns a CheckerResult."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import entry_points
from typing import cast

from dynamesis.checkers.evidence.vacuity import with_evidence
from dynamesis.checkers.graph.run import Run
from dynamesis.checkers.history.history import History
from dynamesis.checkers.models.explain import with_faults
from dynamesis.checkers.models.models import MODELS
from dynamesis.checkers.verdict import CheckerResult, Results, check_safely
from dynamesis.cluster.plugins.objects import absolute, is_file_name, load_object

GROUP = "dynamesis.checkers"
OwnModel = Callable[[History], CheckerResult]


def outside_model(name: str) -> OwnModel | None:
    """The model; None for one of the table. Raises ValueError for one that is nowhere."""
    if name in MODELS:
        return None
    if is_file_name(name):
        found = load_object(absolute(name), _is_model, "a function of a History")
        return cast(OwnModel, found)
    for point in entry_points(group=GROUP):
        if point.name == name:
            try:
                return cast(OwnModel, point.load())
            except Exception as error:
                raise ValueError(f"{name}: {point.value} cannot be loaded: {error!r}") from error
    raise ValueError(f"there is no {name!r}; allowed: FILE.py:NAME, {', '.join(sorted(MODELS))}")


def judge_by(model: OwnModel, name: str, run: Run) -> Results:
    """The verdict of a model of a user's own, no better than the evidence."""
    short = name.rpartition(":")[2]
    found = Results({short: check_safely(short, lambda: model(run.history))})
    return with_faults(with_evidence(found, run), run.timeline)


def _is_model(value: object) -> bool:
    return callable(value) and not isinstance(value, type)
