"""A model of a user's own judges stored and foreign histories, and no mistake in it makes a
verdict."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from dynamesis.harness.cli.app import run

from dynamesis import Verdict, check

DOCS = Path(__file__).parents[2] / "docs" / "your-store.md"
#: two reads, as Jepsen and as we write them
EDN = """{:index 0, :type :invoke, :process 0, :f :read, :value nil, :time 1}
{:index 1, :type :ok, :process 0, :f :read, :value %d, :time 2}
"""
OURS = """{"index":0,"type":"invoke","process":0,"f":"read","key":"a","value":null,"time":1}
{"index":1,"type":"ok","process":0,"f":"read","key":"a","value":%d,"time":2}
"""
IMPORTS = "from dynamesis import Anomaly, CheckerResult, Verdict\n"


@pytest.fixture
def model(tmp_path: Path) -> str:
    """The model of docs/your-store.md, as it is there."""
    blocks = re.findall(r"```python\n(.*?)```", DOCS.read_text("utf-8"), re.S)
    [code] = [block for block in blocks if "def never_negative" in block]
    (tmp_path / "model.py").write_text(code)
    return f"{tmp_path / 'model.py'}:never_negative"


def history(tmp_path: Path, text: str, name: str) -> str:
    path = tmp_path / name
    path.write_text(text)
    return str(path)


@pytest.mark.parametrize(("name", "text"), [("h.edn", EDN), ("h.jsonl", OURS)])
@pytest.mark.parametrize(("value", "code"), [(3, 0), (-3, 1)])
def test_the_model_of_the_docs_judges(
    model: str, tmp_path: Path, name: str, text: str, value: int, code: int
) -> None:
    file = history(tmp_path, text % value, name)
    assert run(["check", file, "--model", model]) == code
    assert (check(file, model=model).verdict is Verdict.INVALID) is (code == 1)


def test_a_key_is_shown_as_it_is_spelled(
    model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = history(tmp_path, OURS % -3, "h.jsonl")
    assert run(["check", file, "--model", model, "-v"]) == 1
    assert "\na was read as -3.\n" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("return None", "it must return a CheckerResult, and returned None"),
        ("return 'valid'", "it must return a CheckerResult, and returned 'valid'"),
        ("return CheckerResult('valid')", "its verdict must be a Verdict, and is 'valid'"),
        (
            "return CheckerResult(Verdict.VALID, (Anomaly('x', why='y'),))",
            "it returned VALID, and 1 anomaly",
        ),
        ("return CheckerResult(Verdict.INVALID)", "INVALID, and no anomaly that proves it"),
        (
            "return CheckerResult(Verdict.INVALID, (Anomaly('x', why='y', ops=(99,)),))",
            "anomaly 'x' names index 99; the history has 2",
        ),
        ("return CheckerResult(Verdict.INVALID, ('x',))", "an anomaly must be an Anomaly"),
        (
            "return CheckerResult(Verdict.INVALID, (Anomaly('x', why='y', data={'a': model}),))",
            "unsupported",
        ),
        ("raise KeyError('ouch')", "KeyError: 'ouch'"),
    ],
)
def test_a_wrong_model_makes_no_verdict(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], body: str, reason: str
) -> None:
    (tmp_path / "wrong.py").write_text(f"{IMPORTS}\n\ndef model(history):\n    {body}\n")
    file = history(tmp_path, OURS % 3, "h.jsonl")
    assert run(["check", file, "--json", "--model", f"{tmp_path / 'wrong.py'}:model"]) == 3
    [found] = json.loads(capsys.readouterr().out)
    assert found["valid"] == "unknown"
    [why] = found["checkers"]["model"]["reasons"]
    assert reason in why


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--model", "regster"], "did you mean register?"),
        (["--model", "regster"], "allowed: FILE.py:NAME, bank"),
        (["--model", "absent.py:model"], "absent.py: no such file"),
        (["--model", "{model}", "--linearizable"], "a model of your own takes no options"),
    ],
)
def test_a_model_that_is_nowhere_and_options_of_others_are_refused(
    model: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    expected: str,
) -> None:
    given: list[Any] = [each.format(model=model) for each in arguments]
    assert run(["check", history(tmp_path, EDN % 3, "h.edn"), *given]) == 2
    assert expected in capsys.readouterr().err
