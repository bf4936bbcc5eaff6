"""`dynamesis campaign --dask` on a real scheduler and real worker processes, on loopback."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from dynamesis.harness.processes.ports import reserve

from tests.end_to_end.conftest import PLANTED_AND_CLEAN, Call, Run, Start

# not imported here: each worker imports all tests, and one runs these
pytestmark = [
    pytest.mark.cluster,
    pytest.mark.skipif(find_spec("distributed") is None, reason="the extra dask is not installed"),
]

CAMPAIGN = f"name: spread\ntime_limit: 1s{PLANTED_AND_CLEAN}budget: {{reruns: 0}}\n"
LONG = CAMPAIGN.replace("time_limit: 1s", "time_limit: 5s").replace("[1, 2]", "[1]")


class Cluster:
    """A scheduler and its workers, each a process."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder = folder
        self.address = f"tcp://127.0.0.1:{port}"
        self.scheduler = self._start("scheduler", "--port", str(port))
        self.workers: list[subprocess.Popen[bytes]] = []

    def add(self, count: int, **environment: str) -> None:
        for _ in range(count):
            name = f"w{len(self.workers)}"
            more = ("--name", name, "--nthreads", "1", "--no-nanny", "--local-directory", name)
            self.workers.append(self._start("worker", self.address, *more, **environment))

    def _start(self, what: str, *arguments: str, **environment: str) -> subprocess.Popen[bytes]:
        script = Path(sys.executable).with_name("dask")
        return subprocess.Popen(
            [str(script), what, *arguments, "--host", "127.0.0.1", "--no-dashboard"],
            cwd=self.folder,
            env=os.environ | environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def end(self) -> None:
        for process in (*self.workers, self.scheduler):
            process.kill()
            process.wait()


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    folder = tmp_path / "dask"
    folder.mkdir()
    with reserve(1) as ports:
        begun = Cluster(folder, ports.take())
        yield begun
        begun.end()


def below(pid: int) -> set[int]:
    """Every process that a process has started, and those have."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                stat = (entry / "stat").read_text().rpartition(")")[2].split()
                parents[int(entry.name)] = int(stat[1])
            except OSError:
                continue
    found = {pid}
    while more := {each for each, parent in parents.items() if parent in found} - found:
        found |= more
    return found - {pid}


def alive(pids: set[int]) -> set[int]:
    def lives(pid: int) -> bool:
        try:
            return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
        except OSError:
            return False

    return {pid for pid in pids if lives(pid)}


def cells(run: Run) -> dict[str, Any]:
    [latest] = (run.folder / "store/campaigns").glob("*/latest")
    content = json.loads((latest / "campaign.json").read_text())
    return {cell["cell"]: cell for cell in content["cells"]}


def verdicts(run: Run) -> dict[str, str]:
    return {name: cell["verdict"] for name, cell in cells(run).items()}


@pytest.mark.nightly
def test_verdicts_are_those_of_a_campaign_alone(
    start: Start, cluster: Cluster, tmp_path: Path
) -> None:
    (tmp_path / "spread.yaml").write_text(CAMPAIGN)
    cluster.add(2)
    run = start("campaign", "spread.yaml", "--dask", cluster.address, "--plain")
    assert run.wait() == 1, run.printed()
    assert "about" in run.printed()  # how long it still takes
    spread = verdicts(run)
    assert [verdict for _, verdict in sorted(spread.items())] == ["valid"] * 2 + ["invalid"] * 2
    [latest] = (tmp_path / "store/campaigns").glob("*/latest")
    for cell in cells(run).values():
        folder = latest / cell["folder"]
        assert {"history.jsonl", "report.html", "nodes"} <= {each.name for each in folder.iterdir()}
        assert (folder.parent / "latest").resolve() == folder.resolve()
    assert not list((tmp_path / "dask").glob("w*/*/dynamesis-*"))  # nothing stays on the workers
    alone = start("campaign", "spread.yaml", "--store", "alone")
    assert alone.wait() == 1, alone.printed()
    [latest] = (tmp_path / "alone/campaigns").glob("*/latest")
    found = json.loads((latest / "campaign.json").read_text())
    assert {cell["cell"]: cell["verdict"] for cell in found["cells"]} == spread


def test_a_worker_that_is_killed_costs_one_test_which_another_runs(
    start: Start, cluster: Cluster, tmp_path: Path
) -> None:
    (tmp_path / "spread.yaml").write_text(LONG)
    cluster.add(2)
    run = start("campaign", "spread.yaml", "--dask", cluster.address, "--plain")
    lost = cluster.workers[0]

    def has_begun() -> bool:
        return any((cluster.folder / "w0").glob("**/history.jsonl")) and len(below(lost.pid)) > 3

    run.until(has_begun, "a test on the first worker")
    children = below(lost.pid)
    lost.send_signal(signal.SIGKILL)
    lost.wait()
    run.until(lambda: not alive(children), "the end of all that the worker had started")
    assert run.wait() == 1, run.printed()
    assert set(verdicts(run).values()) == {"valid", "invalid"}
    assert [cell["tried"] for cell in cells(run).values()] == [1, 1]
    log = next((tmp_path / "store/campaigns").glob("*/latest/campaign.log")).read_text()
    assert log.count("is lost, and with it run") == 1
    assert log.count("is given to") == 3


def under_way(start: Start, cluster: Cluster, folder: Path) -> Run:
    """A campaign of tests of ten minutes, once a worker runs one of them."""
    (folder / "spread.yaml").write_text(LONG.replace("5s", "10m"))
    cluster.add(1)
    run = start("campaign", "spread.yaml", "--dask", cluster.address)
    run.until(lambda: any(cluster.folder.glob("w0/**/history.jsonl")), "a test on the worker")
    return run


@pytest.mark.nightly
def test_an_interrupt_ends_the_tests_on_the_workers(
    start: Start, cluster: Cluster, tmp_path: Path
) -> None:
    run = under_way(start, cluster, tmp_path)
    worker = cluster.workers[0].pid
    assert below(worker)
    run.process.send_signal(signal.SIGINT)
    assert run.wait() == 3, run.printed()
    assert "--resume" in run.printed()
    run.until(lambda: not below(worker), "the end of the test")


@pytest.mark.nightly
def test_a_campaign_that_is_killed_leaves_nothing_running_on_the_workers(
    start: Start, cluster: Cluster, tmp_path: Path
) -> None:
    run = under_way(start, cluster, tmp_path)
    run.process.send_signal(signal.SIGKILL)
    run.process.wait()
    run.until(lambda: not below(cluster.workers[0].pid), "the end of the test")


@pytest.mark.nightly
def test_a_cluster_of_distributeds_own(start: Start, tmp_path: Path) -> None:
    from distributed import LocalCluster

    (tmp_path / "spread.yaml").write_text(CAMPAIGN.replace("[1, 2]", "[1]"))
    with LocalCluster(
        n_workers=2, threads_per_worker=4, dashboard_address=None, host="127.0.0.1"
    ) as local:
        run = start("campaign", "spread.yaml", "--dask", local.scheduler_address)
        assert run.wait() == 1, run.printed()
    assert sorted(verdicts(run).values()) == ["invalid", "valid"]


def test_no_scheduler_is_one_line(start: Start, tmp_path: Path) -> None:
    (tmp_path / "spread.yaml").write_text(CAMPAIGN)
    with reserve(1) as ports:
        port = ports.take()
        run = start("campaign", "spread.yaml", "--dask", f"tcp://127.0.0.1:{port}", "-q")
        assert run.wait() == 4, run.printed()
    [line] = run.printed().splitlines()
    assert f"tcp://127.0.0.1:{port}" in line
    assert "dask scheduler" in line


@pytest.fixture
def silent() -> Iterator[str]:
    """The address of a listener that never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"tcp://127.0.0.1:{listener.getsockname()[1]}"


@pytest.mark.parametrize(
    ("address", "code", "words"),
    [
        ("", 2, "is not an address"),
        ("here", 2, "is not an address"),
        ("tcp://127.0.0.1", 2, "is not an address"),
        ("tcp://127.0.0.1:x", 2, "is not an address"),
        ("gopher://127.0.0.1:1", 2, "is not an address"),
        ("tcp://127.0.0.1:99999", 2, "is not an address"),
        ("silent", 4, "there is no scheduler at"),
    ],
)
def test_what_is_not_a_scheduler_is_one_line(
    address: str, code: int, words: str, silent: str, tmp_path: Path, call: Call
) -> None:
    (tmp_path / "spread.yaml").write_text(CAMPAIGN)
    given = silent if address == "silent" else address
    run = call("campaign", "spread.yaml", "--dask", given, "-q")
    assert run.wait() == code, run.printed()
    [line] = run.printed().splitlines()
    assert words in line
    assert "such as tcp://127.0.0.1:8786" in line


def other_version(folder: Path) -> str:
    """PYTHONPATH of a process in which another version of dynamesis is installed."""
    about = folder / "other/dynamesis-9.9.9.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: dynamesis\nVersion: 9.9.9\n")
    return os.pathsep.join([str(about.parent), os.environ.get("PYTHONPATH", "")])


#: read by an interpreter as it starts
HIDDEN = """
import importlib.metadata, sys

class Hidden:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "dynamesis":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

def version(name, found=importlib.metadata.version):
    if name == "dynamesis":
        raise importlib.metadata.PackageNotFoundError(name)
    return found(name)

sys.meta_path.insert(0, Hidden())
importlib.metadata.version = version
"""


def without_dynamesis(folder: Path) -> str:
    """PYTHONPATH of a process in which dynamesis is not installed."""
    (folder / "without").mkdir()
    (folder / "without/sitecustomize.py").write_text(HIDDEN)
    return os.pathsep.join([str(folder / "without"), os.environ.get("PYTHONPATH", "")])


@pytest.mark.nightly
@pytest.mark.parametrize(
    ("installed", "words"),
    [(other_version, "it has dynamesis 9.9.9"), (without_dynamesis, "is not installed there")],
)
def test_a_worker_that_cannot_run_a_test_is_given_nothing_more(
    installed: Callable[[Path], str], words: str, start: Start, cluster: Cluster, tmp_path: Path
) -> None:
    (tmp_path / "spread.yaml").write_text(CAMPAIGN.replace("links: direct, ", ""))
    cluster.add(1, PYTHONPATH=installed(tmp_path))
    flags = ("--dask", cluster.address, "--only", "clean", "--world", "simulated", "-q")
    run = start("campaign", "spread.yaml", *flags)
    assert run.wait() == 4, run.printed()
    [line] = run.printed().splitlines()
    assert words in line
    assert "no worker at" in line
    cluster.add(1)
    for _ in range(5):  # until the second worker is up
        run = start("campaign", "spread.yaml", *flags, "--resume")
        if run.wait() == 0:
            break
    assert run.wait() == 0, run.printed()
    assert set(verdicts(run).values()) == {"valid"}
    assert [cell["tried"] for cell in cells(run).values()] == [1, 1]


@pytest.mark.nightly
def test_a_scheduler_that_hangs_ends_the_campaign(
    start: Start, cluster: Cluster, tmp_path: Path
) -> None:
    run = under_way(start, cluster, tmp_path)
    cluster.scheduler.send_signal(signal.SIGSTOP)
    try:
        assert run.wait() == 4, run.printed()
    finally:
        cluster.scheduler.send_signal(signal.SIGCONT)
    assert f"the scheduler at {cluster.address} is gone (no answer within" in run.printed()
    assert "--resume" in run.printed()


@pytest.mark.nightly
def test_no_worker_is_one_line(start: Start, cluster: Cluster, tmp_path: Path) -> None:
    (tmp_path / "spread.yaml").write_text(CAMPAIGN)
    run = start("campaign", "spread.yaml", "--dask", cluster.address, "-q")
    assert run.wait() == 4, run.printed()
    [line] = run.printed().splitlines()
    assert cluster.address in line
    assert "dask worker" in line or "dask scheduler" in line


def test_the_extra_is_named_where_it_is_missing(start: Start, tmp_path: Path) -> None:
    (tmp_path / "spread.yaml").write_text(CAMPAIGN)
    hidden = tmp_path / "hidden"
    hidden.mkdir()
    (hidden / "distributed.py").write_text("raise ImportError('no module named distributed')\n")
    path = os.pathsep.join([str(hidden), os.environ.get("PYTHONPATH", "")])
    run = start("campaign", "spread.yaml", "--dask", "tcp://127.0.0.1:1", "-q", PYTHONPATH=path)
    assert run.wait() == 4, run.printed()
    [line] = run.printed().splitlines()
    assert "pip install 'dynamesis[dask]'" in line
