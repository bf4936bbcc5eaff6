"""How many examples Hypothesis tries, and how many values of a parameter: few in CI, many at night
(`EXAMPLES_FACTOR`, in tox.ini)."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

import pytest

FACTOR = int(os.environ.get("EXAMPLES_FACTOR", "1"))


def examples(in_ci: int) -> int:
    """So many in CI, and as many times more as `EXAMPLES_FACTOR` asks for."""
    return in_ci * FACTOR


def oracle_examples(in_ci: int) -> int:
    """How many histories an oracle judges: so many in CI, `ORACLE_EXAMPLES` at night."""
    return int(os.environ.get("ORACLE_EXAMPLES", in_ci))


def rest_at_night(values: Iterable[Any], in_ci: int) -> list[Any]:
    """Values of a parameter, of which the first `in_ci` are tried in CI and all at night."""
    return [
        pytest.param(value, marks=() if number < in_ci else pytest.mark.nightly)
        for number, value in enumerate(values)
    ]
