"""Wall clocks of real nodes that are wrong: seen so, proven, and right again once healed."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from dynamesis.harness.nemesis.libfaketime import Found, find
from real_cluster import Scene, run
from tiny_cluster import until

pytestmark = pytest.mark.cluster

FAKETIME = find()
ENGINES = [
    pytest.param(None, id="in-process"),
    pytest.param(
        FAKETIME.path,
        id="faketime",
        marks=pytest.mark.skipif(FAKETIME.path is None, reason=FAKETIME.why_not),
    ),
]

SETTINGS: dict[str, dict[str, int]] = {
    "jump": {"offset_ms": -60_000},
    "strobe": {"offset_ms": 60_000, "strobe_ms": 50},
    "drift": {"drift_ppm": 500_000},
    "freeze": {"drift_ppm": -1_000_000},
}


async def is_right(s: Scene, node: str) -> bool:
    """Whether the node's time lies between the question and the answer."""
    status = None
    while status is None:  # a busy machine may keep it from answering in time
        asked = time.time_ns() // 1_000_000
        status = await s.cluster.status(node)
    return bool(asked <= status["clock"]["wall"] <= time.time_ns() // 1_000_000)


@pytest.mark.parametrize("faketime", ENGINES)
@pytest.mark.parametrize("kind", SETTINGS)
def test_a_clock_is_wrong_and_set_right(tmp_path: Path, kind: str, faketime: Path | None) -> None:
    async def scenario(s: Scene) -> None:
        assert await is_right(s, "n1")
        nodes: Any = ["n1", "n2"]
        await s.do("start-clock", fault=0, kind=kind, nodes=nodes, **{"with": SETTINGS[kind]})

        async def seen() -> bool:
            return s.nemesis._watches[0].over

        await until(seen)
        assert await is_right(s, "n3")
        await s.do("stop-clock", fault=0)
        await s.nemesis.heal_all()
        (proof,) = s.values_of("evidence")
        assert proof["bit"]
        (wanted, *_) = SETTINGS[kind].values()
        for node in nodes:
            assert proof["detail"]["skew_ms"][node] * wanted > 0, "in the requested direction"
            assert await is_right(s, node)
        await s.check("n1", "n2", "n3")

    run(tmp_path, scenario, starts=("start-clock",), faketime=faketime)


@pytest.mark.parametrize("faketime", ENGINES)
@pytest.mark.parametrize("grain", [15, 1000])
def test_a_clock_continues_in_steps_until_it_is_healed(
    tmp_path: Path, grain: int, faketime: Path | None
) -> None:
    async def scenario(s: Scene) -> None:
        await s.do("start-clock", fault=0, kind="coarse", nodes=["n1"],
                   **{"with": {"grain_ms": grain}})  # fmt: skip

        async def seen() -> bool:
            return s.nemesis._watches[0].over

        await until(seen)
        status = await s.cluster.status("n1")
        assert status is not None
        assert status["clock"]["wall"] % grain == 0
        await s.do("stop-clock", fault=0)
        await s.nemesis.heal_all()
        (proof,) = s.values_of("evidence")
        assert proof["bit"]
        assert all(wall % grain == 0 for wall in proof["detail"]["readings"]["n1"])
        assert await is_right(s, "n1")

    run(tmp_path, scenario, starts=("start-clock",), faketime=faketime)


@pytest.mark.parametrize("faketime", ENGINES)
def test_a_clock_of_a_paused_node_is_set_right_by_the_heal(
    tmp_path: Path, faketime: Path | None
) -> None:
    async def scenario(s: Scene) -> None:
        await s.do("start-clock", fault=0, kind="jump", nodes=["n1"],
                   **{"with": SETTINGS["jump"]})  # fmt: skip

        async def wrong() -> bool:
            return not await is_right(s, "n1")

        await until(wrong)
        await s.do("start-pause", fault=1, nodes=["n1"])
        await s.do("stop-clock", fault=0)
        await s.nemesis.heal_all()
        assert await is_right(s, "n1")

    run(tmp_path, scenario, starts=("start-clock",), faketime=faketime)


@pytest.mark.parametrize("faketime", ENGINES)
def test_a_node_that_is_started_again_has_a_sound_clock(
    tmp_path: Path, faketime: Path | None
) -> None:
    async def scenario(s: Scene) -> None:
        await s.do("start-clock", fault=0, kind="jump", nodes=["n1"],
                   **{"with": SETTINGS["jump"]})  # fmt: skip
        await s.do("start-kill", fault=1, nodes=["n1"])
        await s.do("stop-kill", fault=1)
        assert await is_right(s, "n1")

    run(tmp_path, scenario, starts=("start-clock",), faketime=faketime)


def test_libfaketime_is_found_where_it_is_named(tmp_path: Path) -> None:
    library = tmp_path / "libfaketime.so.1"
    library.touch()
    assert find({"LIBFAKETIME": str(library)}).path == library.resolve()
    missing = find({"LIBFAKETIME": str(tmp_path / "none.so")})
    assert missing.tried[0] == f"$LIBFAKETIME is {tmp_path / 'none.so'}, which is not a file"
    assert missing.path != library.resolve()


def test_without_libfaketime_clock_faults_are_skipped_and_say_so(tmp_path: Path) -> None:
    reason = Found(None, ("looked nowhere",)).why_not

    async def scenario(s: Scene) -> None:
        done = await s.do("start-clock", fault=0, kind="jump", nodes=["n1"],
                          **{"with": SETTINGS["jump"]})  # fmt: skip
        assert done.value["skipped"] == reason
        assert "looked nowhere" in reason
        assert await is_right(s, "n1")
        assert (await s.do("stop-clock", fault=0)).value["skipped"] == "it never began"

    run(tmp_path, scenario, skips={"clock": reason})


def test_a_node_obeys_only_where_it_was_configured_to(tmp_path: Path) -> None:
    async def scenario(s: Scene) -> None:
        done = await s.do("start-clock", fault=0, kind="jump", nodes=["n1"],
                          **{"with": SETTINGS["jump"]})  # fmt: skip
        assert done.error is not None
        assert "clock_faults: true" in done.error.message
        assert await is_right(s, "n1")

    run(tmp_path, scenario)
