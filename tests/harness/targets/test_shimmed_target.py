"""A target whose nodes advertise one address each is cut pair by pair, through the shim."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from dynamesis.harness.links.dialling import choose

pytestmark = pytest.mark.cluster

HERE = Path(__file__).parent
PLAIN = HERE.parents[1] / "targets/plain.py"
TEST = (sys.executable, "-m", "dynamesis.harness", "test", "--workload", f"{PLAIN}:PLAIN")


def run(name: str, folder: Path, *more: str) -> subprocess.CompletedProcess[str]:
    target = ["--target", f"{HERE / 'advertising.py'}:{name}", "--store", str(folder)]
    command = [*TEST, *target, "--seed", "5", "--nemesis", "cut.one", *more]
    return subprocess.run(command, capture_output=True, text=True, timeout=200)


@pytest.mark.parametrize(
    "links", ["embedded", pytest.param("toxiproxy", marks=pytest.mark.nightly)]
)
def test_each_pair_has_its_own_proxy(links: str, tmp_path: Path) -> None:
    choice = choose("nodes", [sys.executable])
    if choice is None or choice.name != "shim":
        pytest.skip(f"no shim: {choice and choice.left_out}")
    done = run("Advertising", tmp_path, "--time-limit", "6s", "--links", links)
    assert done.returncode in (0, 1, 3), done.stderr + done.stdout
    folder = next(tmp_path.glob("advertising-plain-cut.one/2*"))
    dialling = json.loads((folder / "test.json").read_text())["dialling"]
    assert (dialling["name"], dialling["pairs"]) == ("shim", True)
    events = map(json.loads, (folder / "history.jsonl").read_text().splitlines())
    proofs = [event["value"] for event in events if event["f"] == "evidence"]
    felt = {pair for proof in proofs for pair in proof["detail"].get("felt", {})}
    assert felt & {"n2-n1", "n3-n1"}, proofs  # those that dial, through proxies of their own


def test_of_a_program_that_is_not_known_no_pair_is_cut(tmp_path: Path) -> None:
    done = run("OfUnknownProgram", tmp_path, "--nemesis", "cut.one-way", "--time-limit", "2s")
    assert done.returncode == 2
    assert "needs links between its nodes that can be cut one by one (cuts)" in done.stderr
