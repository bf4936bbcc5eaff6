"""What a simulated test shows and refuses beside its verdict: the same as one on processes."""

from __future__ import annotations

import asyncio
import json
import stat
from pathlib import Path
from typing import Any

import pytest
from dynamesis.checkers.history.op import Op
from dynamesis.cluster.config.config import Config, Storage, draw_secret, load
from dynamesis.cluster.core.node.node import Node
from dynamesis.cluster.core.protocol.messages import Hello
from dynamesis.cluster.net.peers import Link
from dynamesis.cluster.process.server import NodeServer
from dynamesis.harness import generators as gen
from dynamesis.harness.usage.exits import UsageError
from dynamesis.harness.worlds.options import plan_test
from dynamesis.harness.worlds.run_test import run_test
from dynamesis.harness.worlds.simulated.run import simulate
from dynamesis.harness.worlds.test_spec import TestSpec
from simulations import options, run

OWN = """
from dynamesis.harness.targets.dynamo.target import DynamoTarget

class Clients(DynamoTarget):
    def client(self, site):
        raise RuntimeError("a client of my own")

class Builds(DynamoTarget):
    def build(self, context):
        raise RuntimeError("nodes of my own")

class Hasty(DynamoTarget):
    @property
    def node_params(self):
        return {**super().node_params, "gossip_interval": 0.2}
"""


@pytest.fixture
def own(tmp_path: Path) -> str:
    (tmp_path / "own.py").write_text(OWN, encoding="utf-8")
    return f"{tmp_path}/own.py"


def test_a_class_made_of_target_dynamo_is_not_taken_for_it(own: str) -> None:
    planned = plan_test(TestSpec(target=f"{own}:Hasty", seed=1))
    assert type(planned.target).__name__ == "Hasty"
    assert planned.target.describe()["partitions"] == 64


def test_no_two_tests_share_a_secret(own: str) -> None:
    first, second = (plan_test(TestSpec(target=f"{own}:Hasty", seed=1)).target for _ in "12")
    assert first.secret != second.secret  # type: ignore[attr-defined]


@pytest.mark.parametrize(("name", "method"), [("Clients", "client"), ("Builds", "build")])
def test_what_no_simulated_world_calls_is_refused(name: str, method: str, own: str) -> None:
    with pytest.raises(UsageError, match=f"--world: .* has a method {method} of its own"):
        options(target=f"{own}:{name}")


def test_other_methods_of_a_class_of_ones_own_are_called(own: str) -> None:
    assert simulate(options(target=f"{own}:Hasty")).history


def test_a_client_that_broke_has_read_nothing_and_is_replaced() -> None:
    """As harness.worlds.performer has it; a get by the same client after that succeeds."""
    asked = gen.concat(gen.invoke("read", key="k0"), gen.invoke("get", key="k0"))
    ended = simulate(options(concurrency=1, keys=1), load=gen.clients(asked))
    read, get = (op for op in _load(ended.history) if op.type != "invoke")
    assert (read.type, read.f) == ("fail", "read")
    assert read.error is not None
    assert (read.error.code, read.error.definite) == ("client-broke", True)
    assert (get.type, get.f) == ("ok", "get")


def test_writes_without_an_id_are_named_alike_in_each_run_of_a_seed() -> None:
    def logged() -> list[str]:
        puts = gen.concat(*[gen.invoke("put", key="k0", value=n) for n in range(3)])
        ended = simulate(options(nodes=3), load=gen.clients(puts))
        lines = [line for log in ended.node_logs.values() for line in log]
        return [line["request"] for line in lines if "request" in line]

    requests = logged()
    assert len(set(requests)) == 3
    assert logged() == requests


CRASHES = """
from dynamesis.cluster.core.node.node import Node
from dynamesis.cluster.core.protocol.events import Received

class Crashes(Node):
    def handle(self, now, event, wall):
        if type(event) is Received and getattr(event.message, "request", "").endswith(".5"):
            raise KeyError("it breaks")
        return super().handle(now, event, wall)
"""


def test_the_reason_of_a_crash_is_shown_and_no_other(tmp_path: Path) -> None:
    (tmp_path / "bug.py").write_text(CRASHES, encoding="utf-8")
    _, results = run(nodes=3, bug=[f"{tmp_path}/bug.py:Crashes"])
    crash = results["checkers"]["crashes"]["anomalies"][0]
    assert "exit code 70" in crash["why"]
    assert "KeyError: 'it breaks'" in crash["why"]
    first, *lines = crash["data"]["last"].splitlines()
    assert first == "ended with exit code 70; its last lines:"
    assert sum("Traceback" in line for line in lines) == 1


def _load(history: tuple[Op, ...]) -> list[Op]:
    """The operations of clients before the heal."""
    heal = next(n for n, op in enumerate(history) if (op.f, op.value) == ("phase", "heal"))
    return [op for op in history[:heal] if isinstance(op.process, int)]


def test_a_node_reports_what_a_process_reports(tmp_path: Path) -> None:
    real, link = asyncio.run(_reported(tmp_path))
    ended = run_test(world="simulated", time_limit=1, seed=1, nemesis="none", store=tmp_path)
    simulated = json.loads((ended.folder / "nodes" / "n1" / "metrics.json").read_bytes())
    assert set(real) <= set(simulated)
    for name, value in real.items():
        if value is not None:
            assert type(simulated[name]) is type(value), name
    assert simulated["links"]["n2"].keys() == link.keys()


async def _reported(folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """What a process adds to the status of its core, and its report of a link."""
    config = Config(
        *("n1", "127.0.0.1:1", "127.0.0.1:2", ("n1",)),
        secret=draw_secret(),
        storage=Storage(engine="memory"),
        data=folder / "data",
        log=folder / "node.log",
    )
    server = NodeServer(config, Node)
    try:
        mine, nothing = Hello("n1", "dynamesis"), _nothing
        link = Link("n2", "127.0.0.1:3", mine, 1.0, nothing, nothing, nothing)
        return server._facts(), link.status()
    finally:
        server._held.close()


def _nothing(*arguments: object, **fields: object) -> None:
    pass


def test_a_folder_has_the_configuration_of_each_node(tmp_path: Path) -> None:
    nodes = run_test(
        world="simulated", workload="register", nemesis="membership.join", time_limit=2, seed=1,
        store=tmp_path,
    ).folder / "nodes"  # fmt: skip
    for node in ("n1", "n6"):
        file = nodes / node / "config.json"
        assert load(file).node == node
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert load(nodes / "n1" / "config.json").members == ("n1", "n2", "n3", "n4", "n5")
    assert load(nodes / "n6" / "config.json").members == ()
