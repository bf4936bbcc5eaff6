"""How many examples Hypothesis tries: few in CI, many at night (`EXAMPLES_FACTOR`, in tox.ini)."""

from __future__ import annotations

import os

FACTOR = int(os.environ.get("EXAMPLES_FACTOR", "1"))


def examples(in_ci: int) -> int:
    """So many in CI, and as many times more as `EXAMPLES_FACTOR` asks for."""
    return in_ci * FACTOR
