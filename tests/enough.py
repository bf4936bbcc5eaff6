"""Tests of which the load is long enough for the machine that they run on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import dynamesis

#: the reason of a verdict that a longer load would have given
TOO_LITTLE = "too little was acknowledged"
#: how many times as long as on an idle machine the load lasts, in turn
TIMES = (1, 2, 4)


def run_enough(store: Path, time_limit: int, **options: Any) -> dynamesis.TestResult:
    """`dynamesis.run_test`, and again with a longer load where a busy machine left too little
    of it to judge."""
    for times in TIMES:
        result = dynamesis.run_test(store=store, time_limit=times * time_limit, **options)
        unknown = result.verdict is dynamesis.Verdict.UNKNOWN
        if not (unknown and TOO_LITTLE in result.explain()):
            break
    return result
