"""Mistakes in the class of a target, and in its methods: one line each, with what is right."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from dynamesis.harness.cli.app import run as command

from tests.enough import run_enough
from tests.targets.mistaken import refused, target


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        ("workloads = 'register'", "workloads = 'register' must be a tuple of strings"),
        ("ports = 'client'", "ports = 'client' must be a tuple of strings"),
        ("links = 'pair'", 'links = \'pair\' must be "pairs", "nodes" or None'),
        ("peer_ports = ('peer',)", "peer_ports has 'peer', which is not in ports = ('client',)"),
        ("boot_limit = '30'", "boot_limit = '30' must be a number of seconds"),
        ("nodes = 0", "nodes = 0 must be an integer from 1"),
        ("wipes = 'yes'", "wipes = 'yes' must be True or False"),
        ("limits = {'w': 1}", "limits = {'w': 1} must be FaultLimits(...)"),
        ("options = {'sync': 'no'}", "must be a dict of name to TargetOption(...)"),
        ("boot_limits = 3", "boot_limits is not known (did you mean boot_limit?)"),
        ("async def prepares(self, site): pass", "prepares is not known (did you mean prepare?)"),
        ("def ready(self, node, site): return True", "ready must be async: `async def ready"),
        ("def held(self, node, site): return {}", "held must be async: `async def held"),
        ("async def client(self, site): return KvClient()", "client must not be async"),
        ("ports = ('client', 'client')", "ports has 'client' twice"),
        ("ports = ('client', '')", "ports has ''; a name has letters"),
        ("client_ports = ()", "client_ports is empty: clients need a port to dial"),
        ("peer_ports = ()", 'peer_ports is empty, and links = "pairs" needs a port'),
        ("name = '../kv'", "name = '../kv': folders are named by it; no / and no dot"),
        ("def names(self, count): return None", "names(3) returned None; it must return a tuple"),
        ("def names(self, count): return ('a',)", "names(3) returned 1 names: a"),
        ("def names(self, count): return ['a', 'b', 'a']", "names(3) has 'a' twice"),
        ("def names(self, count): return ['a', 'b', 'c/d']", "names(3) has 'c/d'; a name has"),
        ("workloads = ('registr',)", "has 'registr', which does not exist (did you mean register"),
    ],
)
def test_a_class_that_is_not_right(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], body: str, complaint: str
) -> None:
    assert complaint in refused(tmp_path, capsys, f"class Mine(Kv):\n    {body}\n", more=())
    assert not (tmp_path / "store").exists()


def test_what_is_missing_is_named_all_together(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shown = refused(tmp_path, capsys, "class Mine(Target):\n    workloads = ('register',)\n")
    assert "the method command is missing; the method client is missing" in shown


def test_a_name_of_ones_own_that_is_like_another_is_let_be(tmp_path: Path) -> None:
    """A port number is not a tuple of ports, and a name with an underscore is never a slip."""
    from dynamesis.harness.targets.registry import load_target

    body = "class Mine(Kv):\n    client_port = 2181\n    _links = 1\n    start = 'x {port}'\n"
    assert load_target(target(tmp_path, body)).name == "kv"


@pytest.mark.cluster
@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        ("def command(self, node, site): return ['sh']", "command returned ['sh']; it must return"),
        ("def command(self, node, site): return Command('sh')", "argv must be a list of words"),
        ("def command(self, node, site): return Command([node.ports['peer']])",
         "command: KeyError: 'peer' (mine.py, line 8)"),
        ("def command(self, node, site): return Command([*site.advertised('n1')])",
         "site.advertised has no address, since links = 'pairs'"),
        ("def client(self, site): pass", "client returned None; it must return a Client"),
        ("def client(self, site): return KvClinet()",
         "client: NameError: name 'KvClinet' is not defined (mine.py, line 8)"),
        ("async def ready(self, node, site): return nodee", "ready: NameError: name 'nodee'"),
        ("async def prepare(self, site): undefined()", "prepare: NameError: name 'undefined'"),
    ],
)  # fmt: skip
def test_a_method_that_is_not_right(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], body: str, complaint: str
) -> None:
    assert complaint in refused(tmp_path, capsys, f"class Mine(Kv):\n    {body}\n")


LATE = """
class Late(KvClient):
    def connect(self, addresses):
        if not READY: raise ConnectionRefusedError("no leader yet")
        super().connect(addresses)

READY = []

class Mine(Kv):
    async def prepare(self, site):
        READY.append("asked")
        if len(READY) < 3: raise TimeoutError("no leader yet")
"""


@pytest.mark.cluster
def test_a_store_that_forms_late_is_prepared_when_it_can_be(tmp_path: Path) -> None:
    import dynamesis

    result = run_enough(
        tmp_path / "store", 3, target=target(tmp_path, LATE), nemesis=["none"], links="embedded"
    )
    assert result.verdict is dynamesis.Verdict.VALID, result.explain()


@pytest.mark.cluster
@pytest.mark.parametrize(
    ("method", "complaint"),
    [
        ("async def prepare(self, site): raise TimeoutError('no leader')",
         "target kv could not prepare within 0.5 s: TimeoutError: no leader"),
        ("def client(self, site): return Never()",
         "target kv takes no client within 0.5 s: TimeoutError: no session"),
    ],
)  # fmt: skip
def test_a_store_that_never_forms(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], method: str, complaint: str
) -> None:
    never = "class Never(KvClient):\n    def connect(self, at): raise TimeoutError('no session')\n"
    spec = target(tmp_path, f"{never}class Mine(Kv):\n    boot_limit = 0.5\n    {method}\n")
    flags = [f"--target={spec}", f"--store={tmp_path / 'store'}", "--links=embedded", "--nodes=1"]
    began = time.monotonic()
    assert command(["test", "--nemesis=none", *flags]) == 4
    assert complaint in capsys.readouterr().err
    assert time.monotonic() - began < 60


@pytest.mark.cluster
@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (
            "return True",
            "ended in client-broke (TypeError: invoke returned True, and no completion",
        ),
        (
            "return okay(op)",
            "client-broke (NameError: name 'okay' is not defined (mine.py, line 10",
        ),
    ],
)
def test_what_a_client_does_wrong_is_in_the_reasons(tmp_path: Path, body: str, reason: str) -> None:
    import dynamesis

    mine = (
        f"class Mine_(KvClient):\n    def connect(self, a): pass\n    def disconnect(self): pass\n"
        f"    def perform(self, op): {body}\n"
    )
    spec = target(tmp_path, f"{mine}class Mine(Kv):\n    def client(self, site): return Mine_()\n")
    result = dynamesis.run_test(
        target=spec, nemesis=["none"], time_limit=2, links="embedded", nodes=1,
        store=tmp_path / "store",
    )  # fmt: skip
    assert result.verdict is dynamesis.Verdict.UNKNOWN
    assert reason in result.explain()
