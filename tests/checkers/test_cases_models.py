"""Inputs that were judged wrongly once, through the command line: counter, bank, register."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.command_line import command_line

CASES = Path(__file__).parent.parent / "histories" / "cases"


def check(path: Path, *arguments: str) -> tuple[int, str, str]:
    """Exit code, output and errors of `dynamesis check -v`."""
    done = command_line("check", "-v", path, *arguments)
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize(
    ("name", "arguments", "code", "parts"),
    [
        ("counter-beyond-int64.edn", ("-m", "counter"), 0, ["true"]),
        ("counter-one-huge-add.edn", ("-m", "counter"), 0, ["true"]),
        (
            "bank-balances-as-text.json",
            ("-m", "bank"),
            3,
            ["unknown", "index 1", "index 3", "expected a number as the balance", '"10"'],
        ),
        ("register-initial-zero.edn", ("-m", "register", "--initial", "0"), 0, ["true"]),
        (
            "register-initial-zero.edn",
            ("-m", "register"),
            1,
            ["false", "phantom: 1", "the read at index 1 saw 0, which no operation had written"],
        ),
    ],
)
def test_case(name: str, arguments: tuple[str, ...], code: int, parts: list[str]) -> None:
    ended, output, errors = check(CASES / name, *arguments)
    assert (ended, errors) == (code, "")
    assert [part for part in parts if part not in output] == []


#: what a counter of 64 bits shows where the true sum is 2^64 - 2
WRAPPED = """
{:process 0, :type :invoke, :f :add, :value 9223372036854775807}
{:process 0, :type :ok, :f :add, :value 9223372036854775807}
{:process 1, :type :invoke, :f :add, :value 9223372036854775807}
{:process 1, :type :ok, :f :add, :value 9223372036854775807}
{:process 2, :type :invoke, :f :read, :value nil}
{:process 2, :type :ok, :f :read, :value -2}
"""


def test_a_counter_that_wraps_is_wrong(tmp_path: Path) -> None:
    path = tmp_path / "wrapped.edn"
    path.write_text(WRAPPED)
    code, output, _ = check(path, "-m", "counter")
    assert code == 1
    assert "gave -2; possible was 18446744073709551614 alone" in output


def test_the_initial_value_may_be_in_test_json(tmp_path: Path) -> None:
    events = ["invoke", "read", "null"], ["ok", "read", "0"], ["invoke", "write", "7"]
    lines = [
        f'{{"index":{i},"time":{i},"type":"{type}","process":0,"f":"{f}","value":{value}}}'
        for i, (type, f, value) in enumerate([*events, ["ok", "write", "7"]])
    ]
    (tmp_path / "history.jsonl").write_text("\n".join(lines) + "\n")
    (tmp_path / "test.json").write_text('{"initial": 0}')
    assert check(tmp_path, "-m", "register")[0] == 0
    assert check(tmp_path, "-m", "register", "--initial", "1")[0] == 1


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("-m", "set", "--initial", "0"), "model set takes no initial"),
        (("--initial", "0"), "--initial: of a model; give --model too"),
        (("-m", "register", "--initial", "[1"), "--initial: expected one value in JSON or EDN"),
        (("-m", "register", "--initial", "1 2"), "--initial: expected one value in JSON or EDN"),
        (("-m", "bank", "--total-amount", "ten"), "--total-amount: expected a number, got 'ten'"),
        (("-m", "bank", "--total-amount", "1/0"), "--total-amount: expected a number, got '1/0'"),
    ],
)
def test_options_that_make_no_sense_are_refused(arguments: tuple[str, ...], expected: str) -> None:
    code, output, errors = check(CASES / "register-initial-zero.edn", *arguments)
    assert (code, output) == (2, "")
    assert expected in errors
    assert errors.count("\n") == 1
