"""`dynamesis test` from boot to exit code, on real processes."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from tests.end_to_end.conftest import Call, Command, Run, Start, long_enough
from tests.enough import TOO_LITTLE

pytestmark = pytest.mark.cluster

DIRECT = ("--links", "direct")
#: enough where more nodes show nothing more: each takes half a second of a processor to start
SMALL = ("--nodes", "3")
EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def phases(run: Run) -> list[str]:
    return [op["value"] for op in run.history() if op["f"] == "phase"]


def assert_files_keep_their_keys(run: Run) -> None:
    """Other programs read what nodes report out of these files."""
    ring = ["partitions", "owners", "target", "members", "version", "n", "r", "w", "sloppy"]
    assert list(json.loads((run.results() / "test.json").read_text())["ring"]) == ring
    values = {op["f"]: op.get("value") for op in run.history() if op["process"] == "harness"}
    assert list(values["membership"]) == ["node", "members", "owners"]
    assert list(values["sizes"]) == [
        *("node", "requests", "request_bytes", "unsent", "owed", "keys_in_progress"),
        *("hint_bytes", "background_slices"),
        *("hints_kept", "hints_handed_off", "hints_given_up", "hints_held"),
    ]
    felt = [op["value"]["detail"]["felt"] for op in run.history() if op["f"] == "evidence"]
    peers = [list(peer) for pairs in felt for peer in pairs.values()]
    assert peers == [["up", "suspected", "failures", "timeouts"]] * len(peers) != []
    node = run.results() / "nodes" / "n1"
    status = json.loads((node / "metrics.json").read_text())
    assert list(status["membership"]) == [
        *("version", "members", "settled", "owned", "former", "waits_for")
    ]
    assert list(status["exchanges"]["n2"]) == ["rounds", "clean", "repaired", "age"]
    assert {"ready", "rss", "engine", "links", "clock", "oldest_hint"} <= set(status)
    row = json.loads((node / "dump.jsonl").read_text().splitlines()[0])
    assert list(row) == ["key", "hint_for", "siblings"]
    assert list(row["siblings"][0]) == ["value", "deleted"]


def test_a_correct_store_under_cuts_is_valid(start: Start, call: Call) -> None:
    run = long_enough(start, 4, "--workload", "cart", "--nemesis", "cut", "--seed", "7",
                      "--junit", "verdict.xml")  # fmt: skip
    assert run.wait() == 0, run.printed()
    assert "valid" in run.printed().splitlines()
    again = r"^again   dynamesis test --workload=cart --nemesis=cut --seed=7 --time-limit=\d+s " \
        "--junit=verdict.xml$"  # fmt: skip
    assert re.search(again, run.printed(), re.MULTILINE)
    assert phases(run) == ["boot", "load", "heal", "quiesce", "final", "stop"]

    folder = run.results()
    assert (run.folder / "store/latest").resolve() == folder.resolve()
    assert (run.folder / "store/cart-cut/latest").resolve() == folder.resolve()
    assert {path.name for path in folder.iterdir()} >= {
        "test.json",
        "history.jsonl",
        "results.json",
        "report.html",
        "junit.xml",
        "harness.log",
        "ledger.jsonl",
        "nodes",
    }
    assert {path.name for path in (folder / "nodes").iterdir()} == {"n1", "n2", "n3", "n4", "n5"}
    assert json.loads((folder / "results.json").read_text())["valid"] is True
    test = json.loads((folder / "test.json").read_text())
    assert (test["seed"], test["n"], len(test["ring"]["owners"])) == (7, 3, 64)
    assert_files_keep_their_keys(run)
    suite = ET.parse(run.folder / "verdict.xml").getroot()
    assert (suite.get("failures"), suite.get("errors")) == ("0", "0")
    page = re.sub(r"<script.*?</script>", "", (folder / "report.html").read_text(), flags=re.S)
    assert not re.search(r'(src|href)="(?!#|data:)', page), "the page needs nothing beside itself"

    judged = call("check", str(folder))
    assert judged.wait() == 0
    assert judged.printed() == "valid\n"


def test_a_planted_bug_is_invalid(call: Call) -> None:
    run = long_enough(call, 2, "--workload", "register", "--nemesis", "none", *DIRECT, *SMALL,
                      "--seed", "1", "--bug", "merged-clock-siblings")  # fmt: skip
    assert run.wait() == 1, run.printed()
    assert any(line.startswith("invalid: ") for line in run.printed().splitlines())
    assert re.search(r"^  false-sibling: \d+$", run.printed(), re.MULTILINE)
    again = call("check", str(run.results() / "history.jsonl"))
    assert again.wait() == 1
    assert again.printed().splitlines()[1] in run.printed()


@pytest.mark.parametrize(
    "number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.nightly)]
)
def test_an_interrupt_heals_and_judges_what_there_is(start: Start, number: int) -> None:
    run = start("test", "--nemesis", "kill,pause", *DIRECT, *SMALL, "--time-limit", "60s",
                "--seed", "5")  # fmt: skip
    run.until_loaded()
    run.process.send_signal(number)
    assert run.wait() == 3, run.printed()
    assert phases(run) == ["boot", "load", "heal", "stop"]
    assert "unknown" in run.printed().splitlines()
    assert "final reads" in run.printed()
    assert (run.results() / "results.json").exists()
    assert run.processes() == []


def test_a_second_interrupt_stops_immediately(start: Start) -> None:
    run = start("test", "--nemesis", "pause.majority", *SMALL, "--time-limit", "60s",
                "--seed", "5")  # fmt: skip
    run.until_loaded()
    run.process.send_signal(signal.SIGINT)
    run.until(lambda: run.process.poll() is not None or "heal" in phases(run), "the heal phase")
    run.process.send_signal(signal.SIGINT)
    assert run.wait() == 3, run.printed()
    assert run.processes() == []


def test_a_killed_harness_leaves_no_process(start: Start) -> None:
    run = start("test", "--nemesis", "pause,cut", *SMALL, "--time-limit", "60s", "--seed", "5",
                "--drivers", "2")  # fmt: skip
    run.until_loaded()
    started = " ".join(run.processes())
    assert "cluster --config" in started
    assert "toxiproxy-server" in started
    run.process.send_signal(signal.SIGKILL)
    run.wait()
    run.until(lambda: not run.processes(), "the end of every process")
    run.until(lambda: not (run.results() / "work").exists(), "the end of what they worked with")
    cut_off = run.results() / "history.jsonl"
    assert cut_off.stat().st_size > 0


def test_what_dies_by_itself_is_reported_immediately(start: Start) -> None:
    run = start("test", "--nemesis", "none", *SMALL, "--time-limit", "60s", "--seed", "5")
    run.until(lambda: "seed " in run.printed() and "load" in phases(run), "the load phase")
    os.kill(run.pid("n3/config.json"), signal.SIGKILL)
    os.kill(run.pid("toxiproxy-server"), signal.SIGKILL)
    run.until(lambda: {"found-dead", "links-restarted"} <= {op["f"] for op in run.history()}, "it")
    assert "n3 died by itself: ended with exit code -9" in run.printed()
    assert "restarted: it had ended with exit code -9" in run.printed()
    assert "heal" not in phases(run)
    run.process.send_signal(signal.SIGINT)
    run.wait()
    (found,) = (op["value"] for op in run.history() if op["f"] == "found-dead")
    assert found["nodes"] == ["n3"]


def test_a_node_that_fails_of_itself_is_a_finding(start: Start, tmp_path: Path) -> None:
    bug = tmp_path / "bug.py"
    bug.write_text(
        "from pathlib import Path\n"
        f"FAILED = Path({str(tmp_path / 'failed')!r})\n"
        "def brittle(node):\n"
        "    sound = node.objects.combine\n"
        "    def failing(ours, incoming, why):\n"
        "        if FAILED.exists():\n"
        "            return sound(ours, incoming, why)\n"
        "        FAILED.touch()\n"
        "        raise KeyError('a tombstone of ' + why)\n"
        "    node.objects.combine = failing\n"
    )
    run = start("test", "--workload", "register", "--nemesis", "none", *DIRECT, "--nodes", "3",
                "--bug", f"{bug}:brittle", "--time-limit", "2s", "--seed", "5")  # fmt: skip
    assert run.wait() == 1, run.printed()
    results = json.loads((run.results() / "results.json").read_text())
    assert results["anomalies"]["crash"] >= 1
    assert "ended by an error of its own (exit code 70)" in run.printed()
    assert "KeyError: 'a tombstone of " in run.printed()


def test_load_drivers_perform_and_log(call: Call) -> None:
    run = long_enough(call, 1, "--workload", "register", "--nemesis", "none", *DIRECT, *SMALL,
                      "--concurrency", "10", "--drivers", "2", "--seed", "5")  # fmt: skip
    assert run.wait() == 0, run.printed()
    log = (run.results() / "harness.log").read_text("utf-8")
    for number, threads in (1, "0, 2, 4, 6, 8"), (2, "1, 3, 5, 7, 9"):
        assert re.search(rf"driver-{number} .*performed \d+ operations of threads {threads}", log)


def test_two_concurrent_ones_do_not_disturb_each_other(start: Start) -> None:
    arguments = ("test", "--workload", "register", "--nemesis", "kill.one", *SMALL)
    for seconds in (4, 12):  # on a busy machine little is acknowledged in the first
        limit = ("--time-limit", f"{seconds}s")
        runs = [start(*arguments, *limit, "--seed", str(seed)) for seed in (1, 2)]
        if [run.wait() for run in runs] == [0, 0]:
            break
        assert all(TOO_LITTLE in run.printed() for run in runs if run.wait() != 0)
    assert [run.wait() for run in runs] == [0, 0], [run.printed() for run in runs]
    assert runs[0].results() != runs[1].results()


def test_no_toxiproxy_names_every_step(
    start: Start, tmp_path_factory: pytest.TempPathFactory
) -> None:
    empty = str(tmp_path_factory.mktemp("empty"))
    run = start("test", "--links", "toxiproxy", "--time-limit", "1s",
                TOXIPROXY_SERVER="/nowhere/toxiproxy-server",
                PATH=empty, XDG_CACHE_HOME=empty, PIP_NO_INDEX="1",
                HTTPS_PROXY="http://127.0.0.1:9", https_proxy="http://127.0.0.1:9")  # fmt: skip
    assert run.wait() == 4, run.printed()
    for step in ("$TOXIPROXY_SERVER", "the PATH", "the cache", "the release", "Go", "--links"):
        assert step in run.printed()
    assert "Traceback" not in run.printed()


def test_without_toxiproxy_links_are_embedded_with_a_notice(
    start: Start, tmp_path_factory: pytest.TempPathFactory
) -> None:
    empty = str(tmp_path_factory.mktemp("empty"))
    run = start("test", "--nemesis", "cut.one", *SMALL, "--time-limit", "3s", "--seed", "7",
                PATH=empty, XDG_CACHE_HOME=empty, PIP_NO_INDEX="1",
                HTTPS_PROXY="http://127.0.0.1:9", https_proxy="http://127.0.0.1:9")  # fmt: skip
    assert run.wait() == 0, run.printed()
    assert "embedded links" in run.printed()
    assert json.loads((run.results() / "test.json").read_text())["links_used"] == "embedded"
    assert any(op["f"] == "evidence" and op["value"]["bit"] for op in run.history())


def test_a_stored_schedule_is_replayed(call: Call) -> None:
    asked = ("--world", "simulated", "--time-limit", "4s", "--seed", "5")
    first = call("test", "--nemesis", "kill,pause", *asked)
    assert first.wait() == 0, first.printed()
    stored = first.results() / "schedule.yaml"
    again = call("test", "--schedule", str(stored), *asked)
    assert again.wait() == 0, again.printed()

    def faults(run: Command) -> list[object]:
        asked = [op for op in run.history() if op["process"] == "nemesis"]
        return [(op["f"], op["value"]) for op in asked if op["type"] == "invoke"]

    assert faults(first)
    assert faults(first) == faults(again)
    assert again.results().parent.name == "cart-kill+pause"
    drawn, replayed = (
        [line for line in (run.results() / "schedule.yaml").read_text().splitlines()
         if not line.startswith("#")]
        for run in (first, again)
    )  # fmt: skip
    assert drawn == replayed


def test_a_bug_from_outside_is_planted(call: Call) -> None:
    spec = f"{EXAMPLES / 'own_bug.py'}:Overwrite"
    run = call("test", "--workload", "register", "--nemesis", "none", "--world", "simulated",
               "--bug", spec, "--time-limit", "3s", "--seed", "1")  # fmt: skip
    assert run.wait() == 1, run.printed()
    assert re.search(r"^  lost-write: \d+$", run.printed(), re.MULTILINE)
    assert json.loads((run.results() / "test.json").read_text())["bugs"] == [spec]


def test_a_port_that_is_taken_is_named(call: Call) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        taken = 20_000 + probe.getsockname()[1] % 10_000
    with socket.create_server(("127.0.0.1", taken)):
        run = call("test", "--nemesis", "none", *DIRECT, "--port-base", str(taken))
        assert run.wait() == 4, run.printed()
        assert f"port {taken}" in run.printed()
        assert "Traceback" not in run.printed()
