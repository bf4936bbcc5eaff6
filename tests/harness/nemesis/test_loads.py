"""Extra load on real nodes: it shows in their status, ends when it is lifted, and is kept
apart from what clients wrote."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from dynamesis.harness.nemesis.loads import EXTRA
from dynamesis.harness.run.dump import _dumps, _of_clients
from real_cluster import Scene, run
from tiny_cluster import until

pytestmark = pytest.mark.cluster

SETTINGS: dict[str, dict[str, int]] = {
    "burst": {"puts": 300},
    "large-values": {"bytes": 1 << 18},
    "slow-readers": {"gets": 100},
}


@pytest.mark.parametrize("kind", SETTINGS)
def test_a_node_under_load_reports_it_until_it_is_over(tmp_path: Path, kind: str) -> None:
    async def scenario(s: Scene) -> None:
        value: dict[str, Any] = {"kind": kind, "nodes": ["n1"], "with": SETTINGS[kind]}
        await s.do("start-load", fault=0, **value)

        async def seen() -> bool:
            return s.nemesis._watches[0].over

        await until(seen)
        await s.do("stop-load", fault=0)
        (proof,) = s.values_of("evidence")
        assert proof["bit"], proof

        async def idle() -> bool:
            status = await s.cluster.status("n1")
            assert status is not None
            return not status["requests"] and not status["unsent"]

        await until(idle)
        rows = await s.cluster.dump("n1") + await s.cluster.dump("n2")
        assert any(row["key"].startswith(EXTRA) for row in rows)
        dumped = await _dumps(s.cluster.nodes, s.cluster)
        keys = {row.key for rows in dumped.values() for row in _of_clients(rows) or ()}
        assert keys == {f"key-{i}" for i in range(20)}
        await s.check("n1", "n2", "n3")

    run(tmp_path, scenario)


def test_load_on_a_node_that_dies_continues_when_it_is_back(tmp_path: Path) -> None:
    async def scenario(s: Scene) -> None:
        value: dict[str, Any] = {"kind": "burst", "nodes": ["n1"], "with": {"puts": 300}}
        await s.cluster.kill("n1")
        await s.do("start-load", fault=0, **value)
        await s.cluster.start("n1")

        async def seen() -> bool:
            return s.nemesis._watches[0].over

        await until(seen)
        await s.nemesis.heal_all()
        assert s.values_of("evidence")[0]["bit"]
        await s.check("n1", "n2", "n3")

    run(tmp_path, scenario)
