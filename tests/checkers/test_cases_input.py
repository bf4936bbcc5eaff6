"""Histories that were once read or judged wrongly: the command line, as a user has it."""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.command_line import command_line

CASES = Path(__file__).parents[1] / "histories" / "cases"
SCRIPT = str(Path(sys.executable).with_name("dynamesis"))


def check(*arguments: str, **settings: Any) -> tuple[int, str]:
    """Exit code and all output of `dynamesis check`; in a process of its own where that gets
    `settings`."""
    if not settings:
        here = command_line("check", *arguments, together=True)
        return here.returncode, here.stdout
    done = subprocess.run(
        [SCRIPT, "check", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=120,
        check=False,
        **settings,
    )
    return done.returncode, done.stdout.decode()


@pytest.mark.parametrize(
    ("case", "model", "code", "shown"),
    [
        ("list-layout.edn", "register", 1, ["phantom", "saw 3"]),
        ("truncated-vector.edn", "register", 2, ["line 4", "expected ']' for the '[' of line 1"]),
        ("json-line-number.json", "set", 2, ["line 3, field type", "'okay'"]),
        ("set-element-spelling.edn", "set", 1, ["[3 1] was acknowledged", "shows 1,"]),
        ("set-info-without-value.jsonl", "set-full", 0, ["true"]),
        ("set-two-keys.jsonl", "set", 0, ["true"]),
        ("set-two-keys.jsonl", "set-full", 0, ["true"]),
    ],
)
def test_a_case(case: str, model: str, code: int, shown: list[str]) -> None:
    found, output = check(str(CASES / case), "--model", model, "--verbose")
    assert found == code, output
    for words in shown:
        assert words in output
    assert "Frozen" not in output


@pytest.mark.parametrize("name", ["-", "/dev/stdin"])
def test_standard_input(name: str) -> None:
    content = gzip.compress((CASES / "list-layout.edn").read_bytes())
    code, output = check(name, "-m", "register", "-v", input=content)
    assert (code, "saw 3" in output) == (1, True), output


def test_a_pipe_that_gives_a_few_bytes_at_a_time(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    content = (CASES / "set-two-keys.jsonl").read_bytes()
    with subprocess.Popen(
        [SCRIPT, "check", str(pipe), "-m", "set"], stdout=subprocess.PIPE
    ) as process:
        with pipe.open("wb", buffering=0) as writer:
            for byte in range(0, len(content), 7):
                writer.write(content[byte : byte + 7])
        output, _ = process.communicate(timeout=120)
    assert (process.returncode, output.decode()) == (0, f"{pipe}\ttrue\n")


def test_an_export_is_judged_the_same(tmp_path: Path) -> None:
    source = tmp_path / "a.edn.gz"
    source.write_bytes(gzip.compress((CASES / "set-element-spelling.edn").read_bytes()))
    assert check(str(source), "-m", "set", "--export", "json", env=ascii_only())[0] == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.edn.gz", "a.json"]
    assert check(str(tmp_path / "a.json"), "-m", "set", "--export", "edn")[0] == 1
    assert check(str(tmp_path / "a.edn"), "-m", "set")[0] == 1
    before = (tmp_path / "a.json").read_bytes()
    code, output = check(str(source), "-m", "set", "--export", "json")
    assert (code, "is there already" in output) == (2, True)
    assert (tmp_path / "a.json").read_bytes() == before


def ascii_only() -> dict[str, str]:
    """A locale that is not UTF-8."""
    settings = {name: value for name, value in os.environ.items() if not name.startswith("LC_")}
    return settings | {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}


def test_an_export_in_a_locale_that_is_not_utf_8(tmp_path: Path) -> None:
    source = tmp_path / "a.json"
    source.write_text(
        '[{"type":"invoke","f":"add","value":"é中","process":0},\n'
        '{"type":"ok","f":"add","value":"é中","process":0}]',
        encoding="utf-8",
    )
    check(str(source), "-m", "set", "--export", "edn", env=ascii_only())
    assert "é中" in (tmp_path / "a.edn").read_text(encoding="utf-8")


def test_an_export_that_the_disk_takes_not_leaves_nothing(tmp_path: Path) -> None:
    source = tmp_path / "a.edn"
    events = [
        f"{{:type :{t}, :f :{'add' if i < 2000 else 'read'}, :process 0, :value {v}}}"
        for i in range(2001)
        for t, v in (("invoke", i if i < 2000 else "nil"), ("ok", i if i < 2000 else "[]"))
    ]
    source.write_text("\n".join(events), encoding="utf-8")
    limited = f"ulimit -f 64; trap '' XFSZ; exec {SCRIPT} check {source} -m set --export json"
    done = subprocess.run(["bash", "-c", limited], capture_output=True, timeout=120, check=False)
    assert done.returncode == 4, done.stderr
    assert b"File too large" in done.stderr
    assert done.stdout == f"{source}\tfalse\n".encode(), "it is judged all the same"
    assert [path.name for path in tmp_path.iterdir()] == ["a.edn"]
