"""Stored values, instants and figures in the words of the pages."""

from __future__ import annotations

from typing import Any

import pytest
from dynamesis.harness.report.spoken import first_sentence
from dynamesis.harness.report.story import missed
from dynamesis.harness.report.words import facts_of, moment


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ({"fault": 2, "member": "kill.one", "nodes": ["n2", "n3"]},
         "fault 2; member kill.one; nodes n2, n3"),
        ({"grudge": [["n3"], ["n1", "n2"]]}, "grudge n3 | n1, n2"),
        ({"bit": True, "detail": {"gone": {"n2": 7}}}, "took effect true; detail (gone (n2 7))"),
        ({"felt": {}, "links": []}, "felt none; links none"),
        ({}, "none"),
        (["cut", "kill"], "cut, kill"),
        ("n1", ""),
        ({"a": {"b": {"c": {"d": {"e": {"f": 1}}}}}}, 'a (b (c (d (e {"f": 1}))))'),
    ],
)  # fmt: skip
def test_a_table_is_spelled_in_words(value: Any, words: str) -> None:
    assert facts_of(value) == words


@pytest.mark.parametrize(
    ("stored", "shown"),
    [
        ("2026-11-27T19:51:39.655+00:00", "2026-11-27 19:51:39 UTC"),
        ("2026-11-27T19:51:39Z", "2026-11-27 19:51:39 UTC"),
        ("2026-11-27T19:51:39+02:00", "2026-11-27 19:51:39 +02:00"),
        ("yesterday\x07", r"yesterday\x07"),
        (None, "None"),
    ],
)
def test_an_instant_has_one_spelling(stored: Any, shown: str) -> None:
    assert moment(stored) == shown


def test_many_numbers_of_missed_versions_are_summed() -> None:
    assert missed({"0": 59, "1": 1}) == "0 by 59 gets, 1 by 1 get"
    many = {str(k): 1 for k in range(8)}
    assert missed(many).endswith("4 by 1 get, 5 to 7 by 3 gets")
    assert missed({}) == missed(None) == "not measured"


@pytest.mark.parametrize("why", [
    "each comes before the next.", "without load it differs.", "process 2 added 3.",
    "index 1 and index 5 both gave 7.",
])  # fmt: skip
def test_a_sentence_begins_with_a_capital(why: str) -> None:
    assert first_sentence(why)[0] == why[0].upper()


def test_a_key_that_begins_a_sentence_stays_as_it_is_spelled() -> None:
    assert first_sentence("k1 was lost.") == "k1 was lost."
