"""What clients can ask for reaches the nodes, and shows bugs that nothing else would show."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.conftest import Call, Run, Start

BUGS = Path(__file__).resolve().parents[1] / "workloads" / "planted.py"
BRIEF = ("--nemesis", "none", "--nodes", "3", "--time-limit", "4s")
MOVES = ("--nemesis", "membership", "--time-limit", "10s")
CROWDED = (*MOVES, "--workload", "crowded", "--keys", "2", "--rate", "400")
REBORN = (*BRIEF, "--workload", "delete", "--keys", "20", "--rate", "150")


def options(*given: str) -> tuple[str, ...]:
    return tuple(f"--option={each}" for each in given)


#: bug -> the test that shows it, and one of the anomalies that it is shown by. In CI they run in
#: virtual time, at night on processes.
SHOWN: dict[str, tuple[tuple[str, ...], str]] = {
    "r_ignored": (
        (*BRIEF, "--workload", "register", *options("quorums=0.5")),
        "impossible-ack",
    ),
    "body_of_before": (
        (*BRIEF, "--workload", "register", *options("bodies=0.5")),
        "impossible-ack",
    ),
    "stamped_again": (
        (*BRIEF, "--workload", "register", *options("timeouts=0.5", "retries=1")),
        "duplicate-sibling",
    ),
    "pw_ignored": (
        (*BRIEF, "--workload", "register", *options("quorums=0.5")),
        "impossible-ack",
    ),
    "pr_ignored": (
        (*BRIEF, "--workload", "register", *options("quorums=0.5")),
        "impossible-ack",
    ),
    "dw_as_w": (
        (*BRIEF, "--workload", "register", "--param=durability=buffered", *options("quorums=0.5")),
        "impossible-ack",
    ),
    "delete_loses": (
        (*BRIEF, "--workload", "lww", "--keys", "40", *options("deletes=0.4")),
        "lost-write",
    ),
    "eaten": (
        (*REBORN, "--time-limit", "6s", *options("distribution=uniform", "recreate=0.9")),
        "lost-write",
    ),
    "far_behind": ((*BRIEF, "--workload", "register", *options("old=0.2")), "lost-write"),
    "one_batch": ((*CROWDED, "--n", "1", "--r", "1", "--w", "1"), "lost-write"),
    "one_slice": (CROWDED, "stuck"),
}


#: takes 10 s even in virtual time; `one_slice` is seen on processes alone
LONG = "one_batch"
WORLD = ("--world", "simulated", "--seed", "5")
#: one bug of each test: some are shown by the same
TESTS = {arguments: bug for bug, (arguments, _) in SHOWN.items()}


def simulated(bugs: Iterable[str]) -> list[Any]:
    return [
        pytest.param(bug, marks=pytest.mark.nightly if bug == LONG else ())
        for bug in bugs
        if bug != "one_slice"
    ]


@pytest.mark.parametrize("bug", simulated(SHOWN))
def test_a_bug_shows_to_asking_clients(call: Call, bug: str) -> None:
    arguments, anomaly = SHOWN[bug]
    run = call("test", *arguments, *WORLD, "--bug", f"{BUGS}:{bug}")
    assert run.wait() == 1, run.printed()
    assert anomaly in json.loads((run.results() / "results.json").read_text())["anomalies"]


@pytest.mark.parametrize("bug", simulated(TESTS.values()))
def test_without_the_bug_the_same_is_valid(call: Call, bug: str) -> None:
    run = call("test", *SHOWN[bug][0], *WORLD)
    assert run.wait() == 0, run.printed()


@pytest.mark.cluster
@pytest.mark.nightly
@pytest.mark.parametrize("bug", SHOWN)
def test_a_bug_of_processes_shows_to_asking_clients(start: Start, bug: str) -> None:
    arguments, anomaly = SHOWN[bug]
    run = start("test", *arguments, "--seed", "5", "--bug", f"{BUGS}:{bug}")
    assert run.wait() == 1, run.printed()
    assert anomaly in json.loads((run.results() / "results.json").read_text())["anomalies"]


@pytest.mark.cluster
@pytest.mark.nightly
@pytest.mark.parametrize("bug", SHOWN)
def test_the_same_test_without_the_bug_is_valid(start: Start, bug: str) -> None:
    run = start("test", *SHOWN[bug][0], "--seed", "5")
    assert run.wait() == 0, run.printed()


Pair = tuple[dict[str, Any], dict[str, Any]]


def operations(run: Run) -> Iterator[Pair]:
    """Each invocation of a client with its completion."""
    begun: dict[int, dict[str, Any]] = {}
    for op in run.history():
        if isinstance(op["process"], int) and op["type"] == "invoke":
            begun[op["process"]] = op
        elif isinstance(op["process"], int):
            yield begun.pop(op["process"]), op


@pytest.mark.cluster
def test_what_is_asked_for_reaches_the_nodes(start: Start) -> None:
    """On a cluster that is fine, which every checker calls valid."""
    asked = options(
        "quorums=0.5", "timeouts=0.4", "bodies=0.4", "retries=1", "direct=0.3", "deletes=0.2",
        "recreate=0.5", "old=0.1",
    )  # fmt: skip
    run = start("test", *BRIEF, "--links", "direct", "--workload", "register", *asked, "--seed",
                "7", "--strict")  # fmt: skip
    assert run.wait() == 0, run.printed()
    pairs = list(operations(run))
    done = [(begun["options"], end) for begun, end in pairs if "options" in begun]
    answered = [(options, end) for options, end in done if end["type"] == "ok"]
    for names, claim in (("rw", "replicas"), (("pr", "pw"), "primaries"), (("dw",), "durable")):
        most = [
            (o[name], end["worth"][claim]) for o, end in answered for name in names if name in o
        ]
        assert all(claimed >= wanted for wanted, claimed in most)
        assert any(wanted == 3 for wanted, _ in most), claim
    # of one primary that is asked there is one answer, where the cluster's W are 2
    assert any(end["worth"]["replicas"] == 1 for o, end in answered if o.get("n") == 1)
    bodies = [end for o, end in answered if o.get("return_body")]
    assert bodies
    assert all(end["id"] in {s["id"] for s in end["siblings"]} for end in bodies)
    assert max(len(end["siblings"]) for end in bodies) > 1
    assert any(end["worth"]["coordinator"] == end["node"] for o, end in answered if "direct" in o)
    hasty = [end for o, end in done if o.get("timeout", 9) < 0.05]
    tried = [end for end in hasty if end.get("options", {}).get("tries", 1) > 1]
    late = [end for end in hasty if end.get("error", {}).get("code") == "timeout"]
    assert tried + late, "nothing timed out"
    assert any(end["type"] == "ok" for end in tried), "no retry ever succeeded"
    assert {begun["f"] for begun, _ in pairs} == {"get", "put", "delete"}


@pytest.mark.cluster
@pytest.mark.nightly
def test_a_key_is_created_again_as_its_tombstone_falls_due(start: Start) -> None:
    asked = options("distribution=uniform", "recreate=0.9")
    run = start("test", *REBORN, "--time-limit", "8s", *asked, "--seed", "5")
    assert run.wait() == 0, run.printed()
    deleted: dict[str, int] = {}
    gaps = []
    for begun, end in operations(run):
        if begun["f"] == "put" and begun["key"] in deleted:
            gaps.append((begun["time"] - deleted.pop(begun["key"])) / 1e9)
        if begun["f"] == "delete" and end["type"] == "ok":
            deleted[begun["key"]] = end["time"]
    assert sum(0.95 <= gap <= 1.6 for gap in gaps) >= 10, sorted(gaps)
