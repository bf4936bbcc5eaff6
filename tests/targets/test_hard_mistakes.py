"""Mistakes in a target that would hang a test, leave processes behind, or end in an error of the
harness's own: blocked event loops, daemons, exceptions that end a program, values of no JSON."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from dynamesis.harness.processes.watchdog import MARK, marked

import dynamesis
from tests.enough import run_enough
from tests.targets.mistaken import notice_soon, refused, target

pytestmark = pytest.mark.cluster
CLIENT = """
class Own(KvClient):
    {method}
class Mine(Kv):
    def client(self, site): return Own()
"""
ASYNC = """
import time
from dynamesis import Client
class Own(Client):
    {method}
class Mine(Kv):
    def client(self, site): return Own()
"""


@pytest.mark.parametrize(
    ("returned", "complaint"),
    [
        ('Command(["true"], env={"A": 1})', "env must be a dict of strings to strings"),
        ('Command(["true"], env=["A=1"])', "env must be a dict of strings to strings"),
        (r'Command(["true", "a\0b"])', "no word may hold a null character"),
        ('Command(["true", None])', "each word of argv must be a string, a number or a path"),
        ('Command(["true"], cwd="/no/such/folder")', "cwd: there is no folder /no/such/folder"),
        ("sys.exit(5)", "command: SystemExit: 5"),
    ],
)
def test_a_command_that_starts_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], returned: str, complaint: str
) -> None:
    body = f"class Mine(Kv):\n    def command(self, node, site): return {returned}\n"
    assert complaint in refused(tmp_path, capsys, body)


def test_why_a_program_cannot_be_started_is_in_the_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plain = tmp_path / "store.sh"
    plain.write_text("#!/bin/sh\n")
    reasons = {
        str(plain): "may not be executed (chmod +x",
        str(tmp_path): "is a folder, not a program",
        "/no/such/store": "/no/such/store is not there",
        "no-such-store": "no-such-store is not a program on this machine",
    }
    for number, (program, reason) in enumerate(reasons.items()):
        folder = tmp_path / str(number)
        folder.mkdir()
        body = f"class Mine(Kv):\n    def command(self, n, site): return Command([{program!r}])\n"
        assert reason in refused(folder, capsys, body, 4)


@pytest.mark.parametrize(
    ("method", "complaint"),
    [
        ("def invoke(self, op): return ok(op)", "Own.invoke must be async"),
        ("def close(self): pass", "Own has no invoke: `async def invoke(self, op)`"),
    ],
)
def test_an_async_client_whose_methods_are_not_right(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], method: str, complaint: str
) -> None:
    assert complaint in refused(tmp_path, capsys, ASYNC.format(method=method))


def test_a_blocking_client_whose_methods_are_not_right(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    body = CLIENT.format(method="async def perform(self, op): return ok(op)")
    complaint = "Own.perform must be a plain method that returns, not async"
    assert complaint in refused(tmp_path, capsys, body)
    (tmp_path / "b").mkdir()
    body = CLIENT.format(method="x = 1").replace("Own(KvClient)", "Own(BlockingClient)")
    assert "Own has no perform: `def perform(self, op)`" in refused(tmp_path / "b", capsys, body)


def test_a_client_for_all_threads_together(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    body = "class Mine(Kv):\n    one = KvClient()\n    def client(self, site): return self.one\n"
    complaint = "client returned the same KvClient twice; it must make a new one for each thread"
    assert complaint in refused(tmp_path, capsys, body)


@pytest.mark.parametrize(
    ("method", "complaint"),
    [
        ("async def prepare(self, site): time.sleep(1000)", "prepare: prepare blocked the event"),
        ("async def ready(self, node, site): time.sleep(1000)", "ready: ready blocked the event"),
        ("async def prepare(self, site): sys.exit(3)", "prepare: SystemExit: 3"),
        ("async def ready(self, node, site): sys.exit(3)", "ready: SystemExit: 3"),
    ],
)
def test_a_method_that_would_never_come_back(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    method: str,
    complaint: str,
) -> None:
    notice_soon(monkeypatch)
    shown = refused(tmp_path, capsys, f"import time\nclass Mine(Kv):\n    {method}\n")
    assert complaint in shown
    if "blocked" in complaint:
        assert "(mine.py, line 9)" in shown
        assert "asyncio.to_thread" in shown


def test_a_prepare_that_waits_for_ever_ends_with_the_boot(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wait = "async def prepare(self, site): await asyncio.Event().wait()"
    body = f"import asyncio\nclass Mine(Kv):\n    boot_limit = 2\n    {wait}\n"
    complaint = "target kv could not prepare within 2 s: TimeoutError"
    assert complaint in refused(tmp_path, capsys, body, 4)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (
            ASYNC.format(method="async def invoke(self, op): time.sleep(1000)"),
            "client-broke (LoopBlocked: invoke blocked the event loop for",
        ),
        (
            CLIENT.format(method="def perform(self, op): sys.exit(7)"),
            "client-broke (SystemExit: 7)",
        ),
        (
            ASYNC.format(method="async def invoke(self, op): raise KeyboardInterrupt"),
            "client-broke (KeyboardInterrupt)",
        ),
        (
            ASYNC.format(method="async def invoke(self, op): return ok(op, object())"),
            "no history can hold: Encoding objects of type object is unsupported",
        ),
        (
            CLIENT.format(method="def perform(self, op): return ok(op, b'7')"),
            "the value b'7': no JSON has that; decode it first",
        ),
        (
            CLIENT.format(method="def perform(self, op): return ok(op, 7, node=3)"),
            "no history can hold: Expected `str | null`, got `int` - at `$.node`",
        ),
    ],
)
def test_what_a_client_does_costs_its_operation_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, reason: str
) -> None:
    notice_soon(monkeypatch)
    result = dynamesis.run_test(
        target=target(tmp_path, text), nemesis=["none"], time_limit=2, links="embedded",
        keys=1, concurrency=2, nodes=1, store=tmp_path / "store",
    )  # fmt: skip
    assert result.verdict is dynamesis.Verdict.UNKNOWN
    assert reason in result.explain()
    assert f"{reason} (performer.py" not in result.explain()


LISTENS = """
class Mine(Kv):
    boot_limit = 1
    def command(self, node, site):
        port = node.ports["client"]
        return Command([sys.executable, "-c", f'''{code}'''])
"""
CODE = (
    "import socket, time; s = socket.socket({family}); s.bind({where}); s.listen(); time.sleep(99)"
)


@pytest.mark.parametrize(
    ("family", "where", "complaint"),
    [
        ("socket.AF_INET6", '("::1", {port})', "(it listens at [::1]:"),
        ("socket.AF_INET", '("127.0.0.1", 0)', "(it listens at 127.0.0.1:"),
    ],
)
def test_a_node_that_listens_elsewhere(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    family: str,
    where: str,
    complaint: str,
) -> None:
    code = CODE.format(family=family, where=where)
    shown = refused(tmp_path, capsys, LISTENS.format(code=code), 4)
    assert complaint in shown
    assert ("must listen at 127.0.0.1:" in shown) == ("INET6" in family)


DAEMON = """
class Mine(Kv):
    def command(self, node, site):
        line = " ".join(map(str, super().command(node, site).argv))
        return Command(["sh", "-c", f"{before}{{line}} & {then}exit 0"])
"""


@pytest.mark.parametrize("before", ["setsid nohup ", "nohup ", ""])
def test_a_node_that_runs_on_in_the_background_is_named_and_ended(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], before: str
) -> None:
    """Whether it has left the group of its start script by then or not: on a busy machine the
    script ends before what it started has done anything."""
    # immediately: a server that is ready before its start script ends has been booted
    shown = refused(tmp_path, capsys, DAEMON.format(before=before, then=""), 4, more=())
    assert "ended with exit code 0 and left" in shown
    assert "running in the background (pid " in shown
    assert "a node must run in the foreground" in shown
    assert marked(str((tmp_path / "store").resolve())) == {}


def test_what_a_node_leaves_in_another_session_ends_with_it(tmp_path: Path) -> None:
    """The start script waits for a server in a session of its own: a kill takes both."""
    waits = DAEMON.format(before="setsid nohup ", then="wait; ")
    result = run_enough(
        tmp_path / "store", 6, target=target(tmp_path, waits),
        nemesis=["kill.one"], links="embedded", seed=3,
    )  # fmt: skip
    assert "did not take effect" not in result.explain()
    assert result.verdict is dynamesis.Verdict.VALID, result.explain()
    assert marked(str((tmp_path / "store").resolve())) == {}


def test_the_watchdog_ends_daemons_of_a_harness_that_was_killed(tmp_path: Path) -> None:
    import subprocess
    import sys

    from dynamesis.harness.processes import watchdog

    folder = tmp_path / "work"
    folder.mkdir()
    script = "import subprocess, sys; subprocess.Popen(['sleep', '99'], start_new_session=True)"
    environment = os.environ | {MARK: str(folder / "n1")}
    subprocess.run([sys.executable, "-c", script], env=environment, check=True)
    assert len(marked(str(folder))) == 1
    arguments = [sys.executable, "-I", "-S", watchdog.__file__, str(os.getpid()), str(folder)]
    subprocess.run(arguments, stdin=subprocess.DEVNULL, check=True, timeout=60)
    deadline = time.monotonic() + 10
    while marked(str(folder)) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert marked(str(folder)) == {}
    assert not folder.exists()
