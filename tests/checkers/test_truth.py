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
    NoTruthValue,
    Results,
    Unknown,
    Verdict,
    judge,
    merge,
    skip,
)

NOTHING = History.of([])


@pytest.mark.parametrize("model", MODELS)
def test_an_unknown_verdict_cannot_be_asserted(model: str) -> None:
    results = check_model(model, NOTHING)
    for holder in (results, *results.verdicts.values()):
        with pytest.raises(NoTruthValue, match="compare"):
            bool(holder)
    with pytest.raises(NoTruthValue, match=r"Verdict\.VALID, .* or Verdict\.UNKNOWN"):
        assert results.verdict
    with pytest.raises(NoTruthValue):
        assert not results.verdict


def test_neither_can_the_verdict_on_a_test() -> None:
    results = check(NOTHING)
    with pytest.raises(NoTruthValue):
        assert results
    with pytest.raises(NoTruthValue):
        assert results.verdict
    with pytest.raises(NoTruthValue):
        assert results.to_dict()["valid"]


@pytest.mark.parametrize("holder", [*Verdict, judge(()), Results({}), Unknown.UNKNOWN])
def test_a_verdict_as_a_condition_is_a_failed_assertion_and_a_wrong_type(holder: object) -> None:
    for error in (AssertionError, TypeError):
        with pytest.raises(error):
            bool(holder)


def test_json_spells_a_verdict_true_false_or_unknown() -> None:
    assert [json.dumps(each.json) for each in Verdict] == ["true", "false", '"unknown"']
    for verdict in Verdict:
        assert Verdict.of_json(json.loads(json.dumps(verdict.json))) is verdict
    assert {Verdict.of_json(odd) for odd in (None, "true", 1)} == {Verdict.UNKNOWN}


def test_unknown_in_json_is_the_string() -> None:
    results = judge((), ["why"]).to_dict()
    valid = results["valid"]
    assert (valid == "unknown", valid != "unknown") == (True, False)
    assert {True: "valid", False: "invalid", "unknown": "unknown"}[valid] == "unknown"
    assert f"{valid}" == str(valid) == "unknown"
    assert json.dumps(results) == json.dumps({**results, "valid": "unknown"})
    assert msgspec.json.decode(msgspec.json.encode(results))["valid"] == "unknown"


@pytest.mark.parametrize("verdict", Verdict)
def test_a_copy_is_the_same_verdict(verdict: Verdict) -> None:
    assert pickle.loads(pickle.dumps(verdict)) is copy.deepcopy(verdict) is verdict


def test_the_worst_verdict_counts() -> None:
    assert judge(()).verdict is Verdict.VALID
    assert Results({"a": judge(()), "b": skip("not asked")}).verdict is Verdict.VALID
    assert merge([Verdict.VALID, Verdict.UNKNOWN]) is Verdict.UNKNOWN
    assert merge([Verdict.UNKNOWN, Verdict.INVALID]) is Verdict.INVALID


def test_a_history_of_nothing_but_the_nemesis_is_unknown_in_every_model() -> None:
    cut = [Op(type="info", process="nemesis", f="start-cut", value=["n1"])]
    for model in MODELS:
        assert check_model(model, History.of(cut * 2)).verdict is Verdict.UNKNOWN
