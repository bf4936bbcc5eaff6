"""A verdict that is unknown passes no assertion, and neither does what only holds a verdict."""

from __future__ import annotations

import copy
import json
import pickle

import msgspec
import pytest
from dynamesis.checkers.history.history import History, Op
from dynamesis.checkers.models.dynamo import check
from dynamesis.checkers.models.models import MODELS, check_model
from dynamesis.checkers.verdict import (
    UNKNOWN,
    NoTruthValue,
    Results,
    Verdict,
    judge,
    merge,
    skip,
    valid_of,
)

NOTHING = History.of([])


@pytest.mark.parametrize("model", MODELS)
def test_an_unknown_verdict_cannot_be_asserted(model: str) -> None:
    results = check_model(model, NOTHING)
    for holder in (results, *results.verdicts.values()):
        with pytest.raises(NoTruthValue, match="compare"):
            bool(holder)
    with pytest.raises(NoTruthValue, match='True, False or "unknown"'):
        assert results.valid
    with pytest.raises(NoTruthValue):
        assert not results.valid


def test_neither_can_the_verdict_on_a_test() -> None:
    results = check(NOTHING)
    with pytest.raises(NoTruthValue):
        assert results
    with pytest.raises(NoTruthValue):
        assert results.valid
    with pytest.raises(NoTruthValue):
        assert results.to_dict()["valid"]


def test_an_unknown_is_an_assertion_that_failed_and_a_wrong_type() -> None:
    with pytest.raises(AssertionError):
        bool(UNKNOWN)
    with pytest.raises(TypeError):
        bool(UNKNOWN)


@pytest.mark.parametrize(
    "verdict",
    [judge((), ["why"]), Verdict("unknown"), Verdict(UNKNOWN)],  # type: ignore[arg-type]
)
def test_unknown_is_still_the_string(verdict: Verdict) -> None:
    valid = verdict.valid
    assert valid is UNKNOWN
    assert (valid == "unknown", valid == "unknown", valid != "unknown") == (True, True, False)
    assert valid in ("unknown", False)
    assert {True: "valid", False: "invalid", "unknown": "unknown"}[valid] == "unknown"
    assert f"{valid}" == str(valid) == "unknown"
    assert pickle.loads(pickle.dumps(valid)) is copy.deepcopy(valid) is UNKNOWN
    assert json.dumps(verdict.to_dict()) == json.dumps({**verdict.to_dict(), "valid": "unknown"})
    assert msgspec.json.decode(msgspec.json.encode(verdict.to_dict()))["valid"] == "unknown"


def test_valid_and_invalid_stay_what_they_are() -> None:
    assert judge(()).valid is True
    assert Results({"a": judge(()), "b": skip("not asked")}).valid is True
    assert Verdict(False).valid is False
    assert (merge([True, "unknown"]), merge([True, UNKNOWN, False])) == (UNKNOWN, False)  # type: ignore[list-item]
    assert [valid_of(x) for x in (True, False, "unknown", None, "true")] == [
        True, False, UNKNOWN, UNKNOWN, UNKNOWN,
    ]  # fmt: skip


def test_a_history_of_nothing_but_the_nemesis_is_unknown_in_every_model() -> None:
    cut = [Op(type="info", process="nemesis", f="start-cut", value=["n1"])]
    for model in MODELS:
        assert check_model(model, History.of(cut * 2)).valid == "unknown"
