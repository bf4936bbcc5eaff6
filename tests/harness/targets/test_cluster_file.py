"""What is wrong with the file of an adopted cluster is one line, before anything is touched."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from dynamesis.harness.targets.adopted.cluster_file import read_cluster
from dynamesis.harness.targets.registry import load_target

ONE = "store: redis\nnodes:\n  n1: {client: 10.0.0.1:1%s}\n"
TWO = "store: redis\nnodes:\n  n1: {client: 10.0.0.1:1%s}\n  n2: {client: 10.0.0.2:1%s}\n"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (ONE % "" + "store: etcd\n", "store is there twice (line 4)"),
        (ONE % "" + "  n1: {client: 10.0.0.2:1}\n", "n1 is there twice (line 4)"),
        ("store: redis\nnodes:\n  n1: {client: 'redis://h:1'}\n", "'redis://h:1', not HOST:PORT"),
        (
            TWO % (", dials: {n2: 127.0.0.1:2}", ""),
            "nodes.n2.dials has no n1; where one node has dials, each needs an address",
        ),
        (TWO % (", advertised: 127.0.0.1:2", ""), "nodes.n2 has no advertised"),
        (
            TWO
            % (
                ", dials: {n2: 127.0.0.1:2}",
                ", dials: {n1: 127.0.0.1:3}, advertised: 127.0.0.1:4",
            ),
            "nodes.n2: dials and advertised exclude each other",
        ),
        (
            ONE % "" + "commands: {kill: 'ssh {hots} pkill x'}\n",
            "kill has {hots} (did you mean {host}?)",
        ),
    ],
)
def test_a_mistake_is_named_with_its_place(tmp_path: Path, text: str, complaint: str) -> None:
    file = tmp_path / "cluster.yaml"
    file.write_text(text)
    with pytest.raises(ValueError, match=re.escape(complaint)) as wrong:
        read_cluster(file)
    assert str(file) in str(wrong.value)


def test_braces_of_the_shell_are_let_be(tmp_path: Path) -> None:
    file = tmp_path / "cluster.yaml"
    kill = "ssh {host} 'kill $(awk {print} ${HOST}.pid) {a,b}'"
    file.write_text(ONE % "" + f'commands: {{kill: "{kill}"}}\n')
    assert read_cluster(file).nodes["n1"].commands["kill"] == kill.replace("{host}", "10.0.0.1")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (ONE.replace("redis", "adopt") % "", "store is whose clients speak to it, not adopt"),
        (
            ONE % "" + "options: {appendfsync: sometimes}\n",
            "options.appendfsync is 'sometimes', not one of: always, everysec, no, off",
        ),
    ],
)
def test_a_store_that_makes_no_sense(tmp_path: Path, text: str, complaint: str) -> None:
    file = tmp_path / "cluster.yaml"
    file.write_text(text)
    with pytest.raises(ValueError, match=re.escape(complaint)):
        load_target("adopt").with_options({"file": str(file)})
