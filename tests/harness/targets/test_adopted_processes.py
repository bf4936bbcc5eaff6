"""The commands of a cluster's owner, on real processes."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
import yaml
from adoptable import Owned, owned
from dynamesis.harness.targets.adopted import processes as processes_module
from dynamesis.harness.targets.adopted.cluster_file import read_cluster
from dynamesis.harness.targets.adopted.processes import AdoptedProcesses

pytestmark = pytest.mark.cluster


def adopt(cluster: Owned, **changes: str | None) -> AdoptedProcesses:
    return AdoptedProcesses(read_cluster(cluster.write(**changes)), cluster.folder / "logs")


@pytest.mark.parametrize("without", [{}, {"state": None}])
def test_nodes_are_moved_by_their_owners_commands(tmp_path: Path, without: dict[str, None]) -> None:
    async def main(cluster: Owned) -> None:
        processes = adopt(cluster, **without)
        await processes.start_all()
        before = cluster.pid("n1")
        assert await processes.pause("n1")
        assert processes.state("n1") == "paused"
        await processes.resume("n1")
        assert processes.state("n1") == "running"
        await processes.kill("n1")
        assert processes.state("n1") == "down"
        assert cluster.asked("n1") is None
        await processes.start("n1")
        assert cluster.pid("n1") != before
        await processes.stop("n2")
        assert [processes.state(node) for node in processes.nodes] == ["running", "down", "running"]
        await processes.stop_all()
        assert all(cluster.asked(node) for node in processes.nodes)
        processes.collect(tmp_path / "collected")
        assert "kill -9" in (tmp_path / "collected/n1/n1-commands.log").read_text()

    with owned(tmp_path) as cluster:
        asyncio.run(main(cluster))


def test_only_what_was_started_is_stopped(tmp_path: Path) -> None:
    async def main(cluster: Owned) -> None:
        processes = adopt(cluster)
        running = {node: cluster.pid(node) for node in ("n1", "n2")}
        await processes.start_all()
        assert cluster.asked("n3") is not None
        await processes.stop_all()
        assert cluster.asked("n3") is None
        assert {node: cluster.pid(node) for node in running} == running
        assert all(cluster.asked(node) for node in running)

    with owned(tmp_path, running=("n1", "n2")) as cluster:
        asyncio.run(main(cluster))


def test_a_node_that_ends_by_itself_is_noticed(tmp_path: Path) -> None:
    async def main(cluster: Owned) -> None:
        processes = adopt(cluster, state=None)
        await processes.start_all()
        cluster.end()
        async with asyncio.timeout(20):
            while processes.state("n2") != "down":
                await asyncio.sleep(0.05)
        assert processes.last_words("n2").startswith("n2 (127.0.0.1:")
        await processes.stop_all()

    with owned(tmp_path) as cluster:
        asyncio.run(main(cluster))


@pytest.mark.parametrize(
    ("command", "complaint"),
    [
        ("echo no route to {node} >&2; exit 3", "ended with exit code 3: no route to n1"),
        ("sleep 30", "took longer than 0.5 s: (no output)"),
        (None, "n1 has no command for kill in the cluster's file"),
    ],
)
def test_a_command_that_fails_is_shown_with_its_last_line(
    tmp_path: Path, command: str | None, complaint: str
) -> None:
    async def main(cluster: Owned) -> None:
        content = cluster.write(kill=command).read_text().replace("limit: 10", "limit: 0.5")
        cluster.file.write_text(content)
        processes = AdoptedProcesses(read_cluster(cluster.file), tmp_path / "logs")
        (tmp_path / "logs").mkdir()
        with pytest.raises(RuntimeError) as failure:
            await processes.kill("n1")
        assert complaint in str(failure.value)

    with owned(tmp_path, running=()) as cluster:
        asyncio.run(main(cluster))


def test_a_node_that_never_comes_up_is_waited_for_within_a_bound(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However busy this machine is: twice as long at most. The way out is in the error."""
    monkeypatch.setattr(processes_module, "_SETTLE", 0.5)

    async def main(cluster: Owned) -> None:
        content = yaml.safe_load(cluster.write(state=None).read_text())
        for node in content["nodes"].values():
            node["start"] = "echo done"
        cluster.file.write_text(yaml.safe_dump(content | {"limit": 0.5}))
        processes = AdoptedProcesses(read_cluster(cluster.file), tmp_path / "logs", lambda: 8.0)
        with pytest.raises(RuntimeError) as failure:
            await processes.start_all()
        assert "is down and not running 1 s after its command; the last line" in str(failure.value)
        assert "start it by hand (`echo done` did not), correct `start`" in str(failure.value)

    with owned(tmp_path, running=()) as cluster:
        asyncio.run(main(cluster))


GOOD = """store: redis
nodes: {a: {client: 'h:1', dials: {b: 'l:3'}}, b: {client: 'h:2', dials: {a: 'l:4'}}}
"""


def test_a_file_names_where_proxies_come(tmp_path: Path) -> None:
    file = tmp_path / "cluster.yaml"
    file.write_text(GOOD + "commands: {kill: 'ssh {host} stop ${node} {node} {client}'}\n")
    cluster = read_cluster(file)
    assert cluster.links == "pairs"
    assert cluster.can("kill")
    assert not cluster.can("start")
    assert cluster.nodes["b"].commands == {"kill": "ssh h stop ${node} b h:2"}
    assert cluster.proxies() == [("a", "b", "l:3", "h:2"), ("b", "a", "l:4", "h:1")]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("[", "is not YAML"),
        ("nodes: {}", "nodes: at least one is needed"),
        ("nodes: {a: {client: 'h:1'}}", "store: the target whose clients"),
        (GOOD.replace("h:1", "h"), "nodes.a.client is 'h', not HOST:PORT"),
        (GOOD.replace("h:1", "h:70000"), "not HOST:PORT"),
        (GOOD.replace("{b: 'l:3'}", "{c: 'l:3'}"), "nodes.a.dials: 'c' is not one of: b"),
        (GOOD.replace("l:4", "l:3"), "nodes.b.dials.a is l:3, as is nodes.a.dials.b"),
        (GOOD.replace("client: 'h:1'", "clent: 'h:1'"), "nodes.a has no 'clent'; it has: client"),
        (GOOD + "commands: {destroy: x}", "commands has no 'destroy'; it has: start, stop, kill"),
        (GOOD + "limit: soon", "limit is 'soon', not a number of seconds"),
    ],
)
def test_a_wrong_file_is_refused_with_its_place(tmp_path: Path, text: str, complaint: str) -> None:
    file = tmp_path / "cluster.yaml"
    file.write_text(text)
    with pytest.raises(ValueError, match=r"cluster\.yaml") as error:
        read_cluster(file)
    assert complaint in str(error.value)
