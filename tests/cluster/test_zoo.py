"""The zoo's table: every bug can be asked for by name, and the test that should show it
can be run."""

from __future__ import annotations

import pytest
from dynamesis.cluster.zoo import BUGS, resolve
from dynamesis.harness.nemesis import PACKAGES
from dynamesis.workloads import WORKLOADS

MEMBERS = {member.name for package in PACKAGES.values() for member in package.members}


@pytest.mark.parametrize("name", sorted(BUGS))
def test_what_shows_a_bug_exists(name: str) -> None:
    bug = BUGS[name]
    assert resolve(name) is bug.node
    assert bug.workload in WORKLOADS
    assert bug.anomalies
    for nemesis in bug.nemesis.split(","):
        assert nemesis in {"none", *PACKAGES, *MEMBERS}
