"""What a terminal and a page get of texts that are anything."""

from __future__ import annotations

import pytest
from dynamesis.harness.text.printable import printable
from dynamesis.harness.usage.exits import USAGE
from dynamesis.harness.usage.outcome import complain


@pytest.mark.parametrize(
    "odd", "\x00\x1b\x85\u200b\u200f\u202e\u2028\u2066\ufeff\ud800\U000e0041\xad"
)
def test_what_is_not_seen_or_turns_text_around_is_an_escape(odd: str) -> None:
    shown = printable(f"a{odd}b")
    assert odd not in shown
    assert shown.startswith("a\\")


def test_other_scripts_and_joined_signs_stay_as_they_are() -> None:
    hebrew, persian = "\u05e9\u05dc\u05d5\u05dd", "\u0646\u0645\u06cc\u200c\u062e\u0648\u0627"
    text = f"{hebrew} {persian} \U0001f469\u200d\U0001f680 \u00b5s\tend\n"
    assert printable(text) == text


def test_an_error_has_no_control_characters(capsys: pytest.CaptureFixture[str]) -> None:
    assert complain("dynamesis", "no\x1b[31m file\u202e", USAGE) == USAGE
    assert capsys.readouterr().err == "dynamesis: no\\x1b[31m file\\u202e\n"
