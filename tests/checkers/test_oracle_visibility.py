"""list-append and rw-register against the axioms of their consistency models: what an order of
transactions explains is never invalid, and what none explains is never valid."""

from __future__ import annotations

import pytest
from dynamesis.checkers.elle.elle import check_list_append, check_rw_register
from dynamesis.checkers.history.history import History
from dynamesis.checkers.verdict import Verdict
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from oracle_visibility import MODELS
from oracle_visibility import History as Tiny
from test_oracle_txn import STEP, run

from tests.examples import oracle_examples

EXAMPLES = oracle_examples(50)
pytestmark = pytest.mark.timeout(240 + 2 * EXAMPLES)
#: half as many as elsewhere: each history is judged by all models, and by all their orders
LENIENT = settings(
    max_examples=EXAMPLES // 2, deadline=None, suppress_health_check=list(HealthCheck)
)
PROGRAMS = st.lists(STEP, max_size=9)


def agree(ops, append: bool) -> None:
    tiny, history = Tiny(ops, append), History.of(ops)
    assume(tiny.sure and len(tiny.sure) + len(tiny.perhaps) <= 5)
    check = check_list_append if append else check_rw_register
    for model in MODELS:
        verdict = check(history, [model])
        # where versions may have come in either order, that is not looked into
        if verdict.verdict is Verdict.INVALID or (
            verdict.verdict is Verdict.VALID and complete(verdict)
        ):
            assert verdict.verdict.json is tiny.allowed(model), (model, verdict)


def complete(verdict) -> bool:
    return "partly_ordered_keys" not in verdict.details


@LENIENT
@given(PROGRAMS)
def test_list_append_agrees_with_the_axioms(program) -> None:
    agree(run(program, append=True), True)


@LENIENT
@given(PROGRAMS)
def test_rw_register_agrees_with_the_axioms(program) -> None:
    agree(run(program, append=False), False)
