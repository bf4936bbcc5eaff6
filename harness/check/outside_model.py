"""Models of a user's own: FILE.py:NAME, or an entry point `dynamesis.checkers`. A model is a
function of a History that returns a CheckerResult."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from difflib import get_close_matches
from importlib.metadata import entry_points
from typing import cast

import msgspec
from dynamesis.checkers.evidence.vacuity import with_evidence
from dynamesis.checkers.graph.run import Run
from dynamesis.checkers.history.history import History
from dynamesis.checkers.models.explain import with_faults
from dynamesis.checkers.models.models import MODELS
from dynamesis.checkers.verdict import Anomaly, CheckerResult, Results, Verdict, check_safely
from dynamesis.cluster.plugins.objects import absolute, is_file_name, load_object
from dynamesis.harness.report.words import counted

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
    known = sorted([*MODELS, *(point.name for point in entry_points(group=GROUP))])
    near = get_close_matches(name, known, n=1)
    hint = f" (did you mean {near[0]}?)" if near else ""
    raise ValueError(f"there is no {name!r}{hint}; allowed: FILE.py:NAME, {', '.join(known)}")


def judge_by(model: OwnModel, name: str, run: Run) -> Results:
    """The verdict of a model of a user's own, no better than the evidence."""
    short = name.rpartition(":")[2]
    found = Results(
        {short: check_safely(short, lambda: _result(model(run.history), len(run.history)))}
    )
    return with_faults(with_evidence(found, run), run.timeline)


def _result(value: object, rows: int) -> CheckerResult:
    """What a model returned, with tuples for lists. Raises TypeError or ValueError for what is
    no result, or contradicts itself: a wrong model must not make a verdict."""
    if not isinstance(value, CheckerResult):
        raise TypeError(f"it must return a CheckerResult, and returned {value!r:.80}")
    if not isinstance(value.verdict, Verdict):
        raise TypeError(f"its verdict must be a Verdict, and is {value.verdict!r:.80}")
    found = replace(value, anomalies=tuple(_anomaly(each, rows) for each in value.anomalies))
    many = sum(found.counts().values())
    if found.verdict is Verdict.VALID and many:
        raise ValueError(f"it returned VALID, and {counted(many, 'anomaly', 'anomalies')}")
    if found.verdict is Verdict.INVALID and not many:
        raise ValueError("it returned INVALID, and no anomaly that proves it")
    msgspec.json.encode(found.to_dict())
    return found


def _anomaly(value: object, rows: int) -> Anomaly:
    if not isinstance(value, Anomaly):
        raise TypeError(f"an anomaly must be an Anomaly, and is {value!r:.80}")
    for row in (*value.ops, *value.during):
        if not 0 <= row < rows:
            raise ValueError(f"anomaly {value.name!r} names index {row!r}; the history has {rows}")
    return replace(value, ops=tuple(value.ops), during=tuple(value.during))


def _is_model(value: object) -> bool:
    return callable(value) and not isinstance(value, type)
