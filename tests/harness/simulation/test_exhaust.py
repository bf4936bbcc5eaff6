"""All small schedules, played: counted, named by tokens, and what they find."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
from dynamesis.checkers.history.op import encode
from dynamesis.checkers.verdict import Verdict
from dynamesis.harness.cli.app import run
from dynamesis.harness.simulation import exhaust as exhaust_module
from dynamesis.harness.simulation.exhaust import (
    SMALL,
    exhaust,
    play_word,
    run_exhaust,
    sample,
    summary,
)
from dynamesis.harness.simulation.play import Played
from dynamesis.harness.simulation.play import run as run_schedule
from dynamesis.harness.simulation.replay import find
from dynamesis.harness.simulation.schedules.draw import SwarmScope
from dynamesis.harness.simulation.schedules.word_schedules import schedule_of, token, word_of
from dynamesis.harness.simulation.schedules.words import Bounds, Word, words
from dynamesis.harness.usage.exits import UsageError

from tests.examples import rest_at_night


def test_a_clean_node_survives_all_words_of_one_fault_and_two_requests() -> None:
    bounds = Bounds(1, 2, ("p", "g"))
    found = exhaust(bounds, play_word)
    assert found.words == found.tally.schedules == len(list(words(bounds)))
    assert set(found.tally.verdicts) == {Verdict.VALID}
    assert found.tally.situations["hint-kept"]
    assert found.sampled is None


def test_a_planted_bug_is_found_with_its_shortest_word() -> None:
    found = exhaust(Bounds(1, 2, ("p",)), partial(play_word, bug=("ctx-only-increment",)))
    assert found.tally.verdicts[Verdict.INVALID]
    shown = found.to_dict({word: Path("f") for word in found.failures})
    assert all(each["anomalies"] and len(each["token"]) <= 60 for each in shown["failures"])
    for word, anomalies in found.failures.items():
        _, played = play_word(word, ("ctx-only-increment",))
        assert set(played.anomalies) == set(anomalies)


def test_a_sample_is_spread_over_all() -> None:
    every = list(words(Bounds(1, 2)))
    some = sample(every, 10)
    assert len(set(some)) == 10
    assert every.index(some[-1]) > len(every) * 0.8
    found = exhaust(Bounds(1, 1), play_word, most=3)
    assert (found.sampled, found.tally.schedules) == (3, 3)


def test_what_ends_before_all_are_played_has_how_many_were() -> None:
    left = iter([True, True, False])
    found = exhaust(Bounds(1, 1), play_word, go_on=lambda: next(left))
    assert (found.sampled, found.tally.schedules) == (2, 2)
    assert found.to_dict({})["sampled"] == 2


def test_a_word_that_is_unknown_is_named_by_its_token() -> None:
    def play(word: Word) -> tuple[Word, Played]:
        return word, Played(Verdict.UNKNOWN if len(word) == 2 else Verdict.VALID, reasons=("so",))

    found = exhaust(Bounds(1, 1), play)
    shown = [line for line in summary(found, {}) if line.startswith("unknown: word-")]
    assert len(shown) == 5
    for line in shown:
        name, reason = line.removeprefix("unknown: ").split(": ")
        assert (len(word_of(name)), reason) == (2, "so")
    assert f"  and {found.tally.verdicts[Verdict.UNKNOWN] - 5} more unknown" in summary(found, {})


def test_a_token_is_its_word() -> None:
    for word in words(Bounds(1, 2)):
        assert word_of(token(word)) == word
        again = find(token(word), SwarmScope())
        assert again.written.schedule == schedule_of(word)
    with pytest.raises(UsageError, match="letters such as"):
        word_of("word-p0x9")
    assert find(" WORD-P0k1\n", SwarmScope()).written.token == "word-p0k1"


@pytest.mark.parametrize(
    ("word", "wrong"),
    [("p0m0", "suffers nothing"), ("p0k1m1m1", "suffers nothing"), ("k1s1p0", "a fault already")],
)
def test_a_word_with_a_fault_that_cannot_strike_is_refused(word: str, wrong: str) -> None:
    with pytest.raises(UsageError, match=wrong):
        word_of(f"word-{word}")


@pytest.mark.parametrize("flag", [["--seed", "3"], ["--workload", "cart"], ["--nemesis", "cut"]])
def test_flags_that_draw_do_not_go_with_all(flag: list[str], tmp_path: Path) -> None:
    assert run(["simulate", "--exhaust", "--store", str(tmp_path), *flag]) == 2


@pytest.mark.parametrize(
    ("bounds", "merged"),
    [
        (Bounds(1, 2), 226),
        # the ones of the command: to list them takes 13 s of a processor
        pytest.param(SMALL, 232_024, marks=pytest.mark.nightly),
    ],
)
def test_the_command_plays_a_sample(
    bounds: Bounds,
    merged: int,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(exhaust_module, "run_exhaust", partial(run_exhaust, bounds=bounds))
    asked = ["simulate", "--exhaust", "--schedules", "4", "--jobs", "1", "--store", str(tmp_path)]
    assert run(asked) in (0, 3)
    shown = capsys.readouterr().out
    assert f"{merged:,} after merging; 4 played" in shown


ALONE = """
import sys
from dynamesis.checkers.history.op import encode
from dynamesis.harness.simulation.play import run
from dynamesis.harness.simulation.schedules.word_schedules import schedule_of, word_of
sys.stdout.buffer.write(b"".join(map(encode, run(schedule_of(word_of(sys.argv[1]))).history)))
"""


@pytest.mark.parametrize("word", rest_at_night(["p0c0p1g0w1d0", "p0k1m1g0", "p0s1p1k2g1"], in_ci=1))
def test_a_replayed_word_has_the_history_of_the_run_of_all(word: str) -> None:
    """Whatever was played before it in the same process, and planned for it."""
    for before in sample(list(words(Bounds(1, 2))), 5):
        play_word(before)
    here = run_schedule(schedule_of(word_of(f"word-{word}")))
    again = run_schedule(find(f"word-{word}", SwarmScope()).written.schedule)
    alone = subprocess.run(
        [sys.executable, "-c", ALONE, f"word-{word}"],
        env={**os.environ, "PYTHONHASHSEED": "77"},
        check=True,
        capture_output=True,
    ).stdout
    text = b"".join(map(encode, here.history))
    assert text == b"".join(map(encode, again.history))
    assert text == alone


def test_the_folder_of_a_word_is_that_of_a_simulated_test(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is done with it further, such as shrinking, stays in virtual time."""
    again = ["simulate", "--replay", "word-p0k0m0p1p0c2", "--bug", "self-merge", "--quiet"]
    assert run([*again, "--store", str(tmp_path)]) == 1
    folder = tmp_path / "simulations-replayed" / "latest"
    test = json.loads((folder / "test.json").read_text(encoding="utf-8"))
    assert (test["world"], test["links"]) == ("simulated", "simulated")
    capsys.readouterr()
    assert run(["shrink", str(folder)]) == 0
    assert "again   dynamesis test --world=simulated " in capsys.readouterr().out
