"""`dynamesis bench node`: which cases it runs, and that it measures two real systems."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from dynamesis.cluster.core.protocol.messages import Get, Hello, Message, Refusal
from dynamesis.cluster.net.stream import Stream
from dynamesis.harness.bench import load
from dynamesis.harness.bench import run as bench_run
from dynamesis.harness.bench.cases import NodeCase, all_cases, chosen, default_cases
from dynamesis.harness.bench.load import Driver, LoadConnection, LoadFailed
from dynamesis.harness.cli.app import run

KEYS = {
    *("op", "storage", "in_flight", "size", "nodes", "links", "cpu_ratio", "p50_ratio", "rate"),
    *("node", "mesh"),
}


def test_the_default_set_has_the_case_that_all_is_judged_by() -> None:
    names = {case.name for case in default_cases()}
    assert {
        f"{op}-{s}-64-100-5-direct" for op in ("put", "get") for s in ("memory", "lmdb")
    } < names
    turns = 2 * (bench_run.TURNS + 1) * bench_run.TURN
    assert len(names) * turns < 240, "the default set takes under five minutes with its boots"


def test_all_has_every_number_of_nodes_and_links() -> None:
    cases = all_cases()
    assert {case.setup.nodes for case in cases} == {3, 5, 9}
    assert {case.setup.links for case in cases} == {"direct", "toxiproxy"}
    assert {case.in_flight for case in cases} == {1, 16, 64, 256}
    assert len({case.name for case in cases}) == len(cases)


@pytest.mark.parametrize(
    ("only", "count"), [("put-memory-64-100-5-direct", 1), ("lmdb-64-100-5-direct", 2), ("16", 72)]
)
def test_only_chooses_by_words_of_the_name(only: str, count: int) -> None:
    assert len(chosen(all_cases(), [only])) == count


def test_only_that_names_nothing_is_refused_with_the_words_there_are(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(["bench", "node", "--only", "put-65"]) == 2
    shown = capsys.readouterr().err
    assert "'put-65' names no case" in shown
    assert "toxiproxy" in shown


@pytest.mark.cluster
def test_both_systems_are_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(bench_run, "TURNS", 2)
    monkeypatch.setattr(bench_run, "TURN", 0.2)
    file = tmp_path / "figures.json"
    only = "put-memory-16-100-3-direct,get-lmdb-1-100-3-direct"
    assert run(["bench", "node", "--only", only, "--json", str(file)]) == 0
    cases = json.loads(file.read_text())["cases"]
    assert [(case["op"], case["storage"], case["in_flight"]) for case in cases] == [
        ("get", "lmdb", 1),
        ("put", "memory", 16),
    ]
    for case in cases:
        assert set(case) == KEYS
        assert case["rate"] > 0
        # the node does all that the mesh does; one at a time both are little but waking up
        assert case["cpu_ratio"] > 0.5
        assert case["cpu_ratio"] < 10, "without short ways a put takes 14.5 times the mesh's"
        assert case["node"]["p50_ms"] <= case["node"]["p99_ms"] <= case["node"]["p999_ms"]
    assert "put-memory-16-100-3-direct" in capsys.readouterr().out


def test_no_request_id_of_an_earlier_case_comes_again() -> None:
    # seen: a case over a running system was refused, as the node remembers the names of requests
    async def names() -> set[str]:
        return {LoadConnection("bench")._name for _ in range(50)}

    assert len(asyncio.run(names())) == 50


@pytest.mark.cluster
def test_a_case_over_what_another_has_left_adds_no_siblings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # seen: each case added a sibling of 1 MiB, until the node refused with too-many-siblings
    monkeypatch.setattr(bench_run, "TURNS", 1)
    monkeypatch.setattr(bench_run, "TURN", 0.1)
    monkeypatch.setattr(bench_run, "_case", six_times(bench_run._case))
    only = "get-memory-1-1048576-3-direct"
    file = tmp_path / "figures.json"
    assert run(["bench", "node", "--only", only, "--json", str(file)]) == 0
    assert len(json.loads(file.read_text())["cases"]) == 1


def six_times(
    case: Callable[..., Awaitable[bench_run.Row]],
) -> Callable[..., Awaitable[bench_run.Row]]:
    async def repeated(*arguments: Any) -> bench_run.Row:
        for _ in range(5):
            await case(*arguments)
        return await case(*arguments)

    return repeated


class Shop(Stream):
    """A server that greets, and then answers nothing but by `say`."""

    def __init__(self, say: Callable[[Shop, Message], None]) -> None:
        super().__init__()
        self._say = say

    def on_open(self) -> None:
        self.send(Hello("n1", "bench"))

    def on_message(self, message: Message) -> None:
        if not isinstance(message, Hello):
            self._say(self, message)


def refuse(shop: Shop, message: Message) -> None:
    assert isinstance(message, Get)
    shop.send(Refusal(message.rid, "overloaded", "too much"))


def hang_up(shop: Shop, message: Message) -> None:
    shop.close("no more")


def answer_nothing(shop: Shop, message: Message) -> None:
    """Do nothing."""


@pytest.mark.parametrize(
    ("say", "reason"),
    [
        (refuse, "operations were refused: 2 as overloaded"),
        (hang_up, "a node hung up: closed by the other side"),
        (answer_nothing, "2 answers did not come within 0.3 s"),
    ],
)
def test_a_load_that_is_not_answered_has_a_reason(
    say: Callable[[Shop, Message], None], reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # seen: an internal error, for which the reader was to make a report
    monkeypatch.setattr(load, "_PATIENCE", 60.0 if say is not answer_nothing else 0.3)

    async def drive() -> None:
        server = await asyncio.get_running_loop().create_server(lambda: Shop(say), "127.0.0.1", 0)
        address = "{}:{}".format(*server.sockets[0].getsockname())
        driver = Driver([address], "bench")
        try:
            await driver.connect(2, 100)
            with pytest.raises(LoadFailed, match=f"^{reason}$"):
                await driver.run("get", 0.0)
        finally:
            driver.close()
            server.close()

    asyncio.run(drive())


@pytest.mark.parametrize("end", [LoadFailed("a node hung up"), KeyboardInterrupt()])
def test_what_was_measured_is_kept_however_the_rest_ends(
    end: BaseException,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    turn = bench_run.Turn(1.0, 1.0, 1.0, 1.0, 1.0)
    done: list[NodeCase] = []

    @asynccontextmanager
    async def nothing(*setup: Any) -> AsyncIterator[list[Any]]:
        yield []

    async def case(case: NodeCase, systems: Any) -> bench_run.Row:
        if done:
            raise end
        done.append(case)
        return bench_run.Row(case, turn, turn)

    monkeypatch.setattr(bench_run, "_both", nothing)
    monkeypatch.setattr(bench_run, "_case", case)
    file = tmp_path / "figures.json"
    ended = run(["bench", "node", "--only", "get-memory-16-100-3", "--json", str(file)])
    assert [case["op"] for case in json.loads(file.read_text())["cases"]] == ["get"]
    if isinstance(end, LoadFailed):
        shown = capsys.readouterr().err
        assert ended == 4
        assert "get-memory-16-100-3-toxiproxy: a node hung up; a machine that is less busy" in shown
    else:
        assert ended == 3
