"""What some versions cover is the same, walked one by one or through a matrix."""

from __future__ import annotations

import subprocess
import sys
from random import Random
from typing import Any

import numpy as np
import pytest
from dynamesis.checkers.graph import causality as module
from dynamesis.checkers.graph.causality import causality
from dynamesis.checkers.history.history import History
from dynamesis.checkers.history.op import Op


def drawn(seed: int, operations: int) -> History:
    """Puts of two keys, each with the context of an earlier one of its key, or of none."""
    random, ops, acknowledged = Random(seed), list[Op](), dict[str, list[int]]()
    for number in range(operations):
        key = random.choice(("a", "b"))
        earlier: list[Any] = [None, *acknowledged.get(key, ())]
        op = Op(
            type="invoke",
            process=0,
            f="put",
            key=key,
            id=f"0.{number}",
            value=number,
            basis=random.choice(earlier),
            index=len(ops),
            time=len(ops),
        )
        ops.append(op)
        ops.append(
            Op(
                type="ok",
                process=0,
                f="put",
                key=key,
                id=op.id,
                value=number,
                index=len(ops),
                time=len(ops),
            )
        )
        acknowledged.setdefault(key, []).append(len(ops) - 1)
    return History.of(ops)


@pytest.mark.parametrize("seed", range(8))
def test_few_versions_cover_as_a_matrix(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    order, random = causality(drawn(seed, 60)), Random(seed)
    assert len(order) == 60
    assert len(order.parents)
    for size in (0, 1, 3, 20):
        chosen = np.array(random.sample(range(60), size), np.int64)
        walked = order.covered(chosen)
        with monkeypatch.context() as patch:
            patch.setattr(module, "_FEW", -1)
            assert (order.covered(chosen) == walked).all()
        assert walked[chosen].all()


_JUDGE = """
import sys
from dynamesis.checkers.history.history import History
from dynamesis.checkers.models.models import ModelOptions, check_model
from dynamesis.checkers.simulate import simulate
history = History.of(simulate.Store(1, 2000).ops())
print(check_model("dynamo", history, ModelOptions(test=simulate.TEST)).verdict.json)
print("scipy" in sys.modules)
"""


def test_a_test_of_usual_length_is_judged_without_loading_scipy() -> None:
    """It takes as long to load as the judging of a short test."""
    done = subprocess.run(
        [sys.executable, "-c", _JUDGE], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["True", "False"]
