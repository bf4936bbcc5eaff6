"""`dynamesis init`: what it writes is clean, short, and runs as it is."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from dynamesis.harness.cli.app import run as command
from dynamesis.harness.init.folder import EXAMPLE_FILES
from dynamesis.harness.init.templates import literal
from dynamesis.harness.targets.site import NodeSite, Site
from dynamesis.harness.targets.target import Command

from tests.between_workers import strict_types

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples/kv_http"
START = "python3 {store} {{port}} {{data}} {{peers}}".format(store=EXAMPLE / "store.py")
HTTP = ("GET http://{address}/{key}", "PUT http://{address}/{key} {value}")
CLIENT = """
import socket, sys
method, address, key, *value = sys.argv[1:]
host, port = address.split(":")
body = "".join(value)
with socket.create_connection((host, int(port)), timeout=2) as connection:
    head = f"{method} /{key} HTTP/1.0\\r\\nContent-Length: {len(body)}\\r\\n\\r\\n"
    connection.sendall((head + body).encode())
    head, _, text = connection.makefile().read().partition("\\n\\n")
print(text)
sys.exit(0 if head.split()[1] in ("200", "404") else 1)
"""

#: what users may answer: start, read, write
ANSWERS = {
    "http": (START, *HTTP),
    "json": (
        "my-store --listen={host}:{port} --gossip={peer_port} --join={peers} --name={name} "
        "--dir={data}/x --a-flag-that-makes-this-line-a-long-one=yes",
        "/v1/kv/{key}".join(("GET http://{address}", "")),
        'POST http://{host}:{port}/v1/kv {"key": "{key}", "value": "{value}", "it\'s": {"x": 1}}',
    ),
    "command": (
        "my-store --port {port}",
        "my-cli -h {host} -p {port} GET {key}",
        """my-cli -h {host} -p {port} SET {key} '{"n": "\\{value}"}'""",
    ),
    "both": ("my-store {address} '{data}/a b'", HTTP[0], "my-cli {port} {key} {value}"),
}


def init(folder: Path, start: str, read: str, write: str) -> int:
    flags = [f"--start={start}", f"--read={read}", f"--write={write}"]
    return command(["init", str(folder), *flags])


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=300,
    )


def read_by_users(folder: Path) -> int:
    """The lines that a user has to read, all files together; their store is their own."""
    files = [path for path in folder.iterdir() if path.is_file() and path.name != "store.py"]
    return sum(bool(line.strip()) for path in files for line in path.read_text().splitlines())


@pytest.fixture
def no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", open(os.devnull))  # noqa: SIM115


@pytest.mark.usefixtures("no_terminal")
def test_without_a_terminal_it_writes_the_worked_example(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "deep/mine"
    assert command(["init", str(folder)]) == 0
    assert {path.name for path in folder.iterdir()} == set(EXAMPLE_FILES)
    for name in EXAMPLE_FILES:
        assert (folder / name).read_text() == (EXAMPLE / name).read_text()
    assert f"cd {folder} && pytest" in capsys.readouterr().out
    assert read_by_users(folder) <= 60
    assert len((folder / "target.py").read_text().splitlines()) <= 60


@pytest.mark.usefixtures("no_terminal")
@pytest.mark.parametrize("there", ["README.md", "test_kv.py"])
def test_it_overwrites_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], there: str
) -> None:
    (tmp_path / there).write_text("mine")
    assert command(["init", str(tmp_path)]) == 2
    assert f"{there} would be overwritten" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == [there]
    assert (tmp_path / there).read_text() == "mine"


@pytest.mark.parametrize("kind", ANSWERS)
def test_what_it_writes_is_clean_and_short(tmp_path: Path, kind: str) -> None:
    assert init(tmp_path / "a-store 2", *ANSWERS[kind]) == 0
    folder = tmp_path / "a-store 2"
    for width in ("88", "100"):
        done = run(folder, "ruff", "format", "--isolated", "--diff", f"--line-length={width}")
        assert done.returncode == 0, done.stdout
    chosen = "--select=E4,E7,E9,F,W,I,B,UP,C4,SIM,RUF,PT,PIE,RET"
    done = run(folder, "ruff", "check", "--isolated", chosen)
    assert done.returncode == 0, done.stdout
    assert read_by_users(folder) <= 62


def test_what_it_writes_has_strict_types(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    for kind, answers in ANSWERS.items():
        assert init(tmp_path / kind, *answers) == 0
    files = [f"{kind}/{name}.py" for kind in ANSWERS for name in ("target", f"test_{kind}")]
    done = strict_types(tmp_path_factory, tmp_path, *files)
    assert done.stdout == f"Success: no issues found in {len(files)} source files\n"


@pytest.mark.parametrize(
    ("place", "text", "complaint"),
    [
        (0, "my-store --dir {data}", "lacks {port}"),
        (0, "my-store {prot} {port}", "{prot} is not known; allowed: {port}, {data}, {peers}"),
        (0, "my-store '{port}", "No closing quotation"),
        (0, " ", "is empty"),
        (1, "GET http://{address}/x", "lacks {key}"),
        (1, "my-cli GET {key}", "lacks {port} or {address}"),
        (1, "GET http://127.0.0.1:80/{key}", "127.0.0.1:80 is one fixed address"),
        (2, "PUT http://{address}/{key}", "lacks {value}"),
    ],
)
def test_answers_that_make_no_sense(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], place: int, text: str, complaint: str
) -> None:
    answers = list(ANSWERS["http"])
    answers[place] = text
    assert init(tmp_path / "mine", *answers) == 2
    shown = capsys.readouterr().err
    assert complaint in shown
    assert ("--start", "--read", "--write")[place] in shown
    assert not (tmp_path / "mine").exists()


@pytest.mark.usefixtures("no_terminal")
def test_some_answers_without_a_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(["init", str(tmp_path / "mine"), f"--read={HTTP[0]}"]) == 2
    assert "--start, --write: missing" in capsys.readouterr().err


def test_on_a_terminal_it_asks_three_questions(tmp_path: Path) -> None:
    ours, theirs = os.openpty()
    os.write(ours, "\n".join((*ANSWERS["http"], "")).encode())
    done = subprocess.run(
        [sys.executable, "-m", "dynamesis.harness", "init", "mine"],
        cwd=tmp_path,
        stdin=theirs,
        capture_output=True,
        text=True,
        timeout=60,
    )
    os.close(ours)
    os.close(theirs)
    assert done.returncode == 0, done.stderr
    assert [done.stdout.count(f"How do you {what}") for what in ("start", "read", "write")] == [
        1
    ] * 3
    assert '"PUT", f"/{op.key}", f"{op.value}"' in (tmp_path / "mine/target.py").read_text()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{key}",
        '"{key}"',
        "it's {value}",
        "{{key}}",
        '{"a": {"b": "{value}\\n"}}',
        "'\"{key}\"'",
    ],
)
def test_a_template_as_python(text: str) -> None:
    found = eval(literal(text), {"op": SimpleNamespace(key="k0", value=7)})
    assert found == text.replace("{key}", "k0").replace("{value}", "7")


def test_a_command_line_is_split_before_it_is_filled_in(tmp_path: Path) -> None:
    node = NodeSite("n1", "127.0.0.1", {"client": 1, "peer": 2}, tmp_path / "a b", tmp_path / "log")
    site = Site(("n1", "n2", "n3"), {"n1": node}, tmp_path, lambda a, b, port: f"{a}-{b}:9")
    text = "x --dir={data} -p {port} -q {peer_port} '{peers} {more}' {\"json\":1}"
    assert Command.line(text, node, site, more="it's") == Command(
        ["x", f"--dir={tmp_path}/a b", "-p", "1", "-q", "2", "n1-n2:9,n1-n3:9 it's", "{json:1}"]
    )


@pytest.mark.cluster
@pytest.mark.usefixtures("no_terminal")
def test_the_worked_example_is_valid_and_its_bug_is_found(tmp_path: Path) -> None:
    assert command(["init", str(tmp_path / "mine")]) == 0
    done = run(tmp_path / "mine", "pytest", "-q", "-p", "no:cacheprovider")
    assert "2 passed" in done.stdout, done.stdout


@pytest.mark.cluster
def test_a_store_that_is_asked_by_commands(tmp_path: Path) -> None:
    """A file that is named from the working folder is found from the folder of the target."""
    (tmp_path / "client.py").write_text(CLIENT)
    asked = "python3 -IS client.py {} {{address}} {{key}}"
    flags = [f"--read={asked.format('GET')}", f"--write={asked.format('PUT')} {{value}}"]
    made = run(tmp_path, "dynamesis.harness", "init", "mine", f"--start={START}", *flags)
    assert made.returncode == 0, made.stderr
    limits = ["--nemesis=none", "--time-limit=5s", "--rate=4", "--keys=1", "--concurrency=2"]
    flags = ["--target=target.py:Store", "--links=embedded", *limits]
    done = run(tmp_path / "mine", "dynamesis.harness", "test", *flags)
    assert done.returncode in (0, 3), done.stdout + done.stderr  # so few do not count as evidence
    lines = (tmp_path / "mine/store/latest/history.jsonl").read_text().splitlines()
    events = [event for event in map(json.loads, lines) if event["type"] == "ok"]
    written = {event["value"] for event in events if event["f"] == "write"}
    assert written & {event.get("value") for event in events if event["f"] == "read"}, done.stdout
    assert {event["node"] for event in events} <= {"n1", "n2"}  # there are two clients
