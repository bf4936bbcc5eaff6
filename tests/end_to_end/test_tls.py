"""Everything encrypted, with certificates made by the documented commands."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from tests.end_to_end.conftest import Call, Start, long_enough

pytestmark = pytest.mark.cluster

OPERATING = Path(__file__).resolve().parents[2] / "docs" / "operating.md"


@pytest.fixture
def certificates(tmp_path: Path) -> Path:
    """A folder in which the commands of docs/operating.md were run."""
    if shutil.which("openssl") is None:
        pytest.skip("no openssl here to make certificates with")
    text = OPERATING.read_text("utf-8")
    commands = text[text.index("openssl req") : text.rindex("```")].partition("```")[0]
    folder = tmp_path / "certificates"
    folder.mkdir()
    subprocess.run(["sh", "-e", "-c", commands], cwd=folder, check=True, capture_output=True)
    return folder


def test_a_whole_test_is_encrypted(start: Start, certificates: Path) -> None:
    run = long_enough(start, 4, "--workload", "register", "--nemesis", "kill.one", "--links",
                      "embedded", "--nodes", "3", "--seed", "3",
                      "--tls", str(certificates))  # fmt: skip
    assert run.wait() == 0, run.printed()
    assert json.loads((run.results() / "test.json").read_text())["tls"] is True
    for log in (run.results() / "nodes").glob("*/config.json"):
        assert json.loads(log.read_text())["tls"]["cert"] == str(certificates / "node.pem")


def test_a_cluster_to_play_with_is_encrypted(start: Start, call: Call, certificates: Path) -> None:
    cluster = start("cluster", "--nodes", "3", "--tls", str(certificates))
    cluster.until(lambda: "nodes are up" in cluster.printed(), "it is up")
    for command, shown in (
        (("put", "colour", "red"), "replicas, coordinated by"),
        (("get", "colour"), "red"),
        (("explain", "colour"), "red"),
        (("status",), "n3    up"),
        (("repair",), "n1: compares with n2, n3"),
    ):
        run = call(*command)
        assert run.wait() == 0, run.printed()
        assert shown in run.printed()
    state = cluster.folder / "store" / "cluster.json"
    known = json.loads(state.read_text())
    state.write_text(json.dumps(known | {"authority": None}))
    blind = call("get", "colour")
    assert blind.wait() == 4
    assert "unreachable" in blind.printed()
    os.kill(cluster.process.pid, signal.SIGINT)
    assert cluster.wait() == 0


@pytest.mark.parametrize("missing", ["node.pem", "node.key", "ca.pem"])
def test_a_folder_that_lacks_a_file_is_wrong_usage(
    call: Call, certificates: Path, missing: str
) -> None:
    (certificates / missing).unlink()
    run = call("test", "--links", "direct", "--nemesis", "none", "--tls", str(certificates))
    assert run.wait() == 2
    assert f"--tls: {certificates}" in run.printed()
    assert missing in run.printed()
