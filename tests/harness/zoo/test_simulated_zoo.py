"""`dynamesis zoo --simulate`: what counts as a catch, and what is written of it."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from dynamesis.checkers.verdict import Verdict
from dynamesis.cluster.zoo import BUGS
from dynamesis.harness.run.progress_view import Mode
from dynamesis.harness.simulation.play import Played, replay
from dynamesis.harness.simulation.schedules.draw import SwarmScope, draw
from dynamesis.harness.simulation.schedules.text import Written
from dynamesis.harness.simulation.swarm import SeedOutcome
from dynamesis.harness.zoo import simulated
from dynamesis.harness.zoo.plan import Specimen
from dynamesis.harness.zoo.simulated import hunt, run_simulated_zoo
from dynamesis.harness.zoo.simulated_results import Catch, collected, line, markdown

OTTER = Specimen("otter", "eats writes", "register", "cut", ("lost-write",))
NEWT = Specimen("newt", "sees double", "register", "cut", ("duplicate-sibling",))


class Outcomes:
    """Verdicts by seed, of schedules with a bug and without one, each after 10 s; others are
    valid."""

    def __init__(self, planted: dict[int, str], clean: dict[int, str] | None = None) -> None:
        self.planted, self.clean = planted, clean or {}

    def __call__(self, seed: int, wanted: SwarmScope) -> SeedOutcome:
        named = (self.planted if wanted.bug else self.clean).get(seed, "valid")
        anomalies = {"lost-write": 1} if named == "invalid" else {}
        return SeedOutcome(seed, Played(Verdict(named), anomalies), 10.0)


def test_the_first_schedule_that_is_invalid_with_the_bug_alone_is_the_catch() -> None:
    planted = {4: "unknown", 5: "invalid", 6: "invalid"}
    catch = hunt(OTTER, 3, 60.0, Outcomes(planted))
    assert (catch.seed, catch.tried, catch.seconds) == (5, 3, 40.0)
    assert (catch.anomalies, catch.alarms, catch.unclear) == (("lost-write",), (), ())


def test_a_schedule_that_is_invalid_without_the_bug_too_is_an_alarm_and_no_catch() -> None:
    planted = {1: "invalid", 2: "invalid", 3: "invalid"}
    catch = hunt(OTTER, 1, 100.0, Outcomes(planted, {1: "invalid", 2: "unknown"}))
    assert (catch.seed, catch.tried) == (3, 3)
    assert (catch.alarms, catch.unclear) == ((1,), (2,))


def test_what_shows_nothing_in_its_time_has_escaped() -> None:
    catch = hunt(OTTER, 1, 25.0, Outcomes({9: "invalid"}))
    assert (catch.seed, catch.tried, catch.seconds) == (None, 3, 30.0)


def test_medians_are_those_of_what_was_caught_and_alarms_count_once() -> None:
    catches = [
        Catch("otter", None, 200, 60.1, alarms=(7, 9)),
        Catch("newt", 5, 5, 1.25, ("duplicate-sibling",), alarms=(7,)),
    ]
    results = collected((OTTER, NEWT), catches, command="dynamesis zoo --simulate")
    assert (results["all_caught"], results["false_alarms"], results["alarms"]) == (False, 2, [7, 9])
    assert (results["median"], results["worst"], results["soon"]) == (1.25, 1.25, 1)
    assert results["operations"] is None
    page = markdown(results)
    assert "1 of 2 caught, 2 false alarms" in page
    assert "Escaped 60s of one core: otter." in page
    assert "seeds 7, 9" in page


def test_what_only_the_workload_shows_has_the_operations_that_were_drawn() -> None:
    schedule = draw(1)
    small = Written(schedule, ("lost-write",), "sim-x")
    catch = Catch("otter", 5, 5, 1.25, ("lost-write",), small=small, drawn=47)
    assert collected((OTTER,), [catch], command="dynamesis zoo")["operations"] == 47
    assert "; 47 operations, " in line(catch)
    given = Written(replace(schedule, operations=()), ("lost-write",), "sim-x")
    assert replace(catch, small=given).operations == 0


def test_an_interrupt_while_a_catch_is_saved_keeps_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    catch = Catch("otter", 5, 5, 1.25, ("lost-write",), small=Written(draw(1)), drawn=47)
    monkeypatch.setattr(simulated, "_catches", lambda *_: iter([catch]))
    monkeypatch.setattr(simulated, "save_schedule", lambda *_: signal.raise_signal(signal.SIGINT))
    also = tmp_path / "also.json"
    run_simulated_zoo((OTTER,), 1, 1, tmp_path / "store", also, None, ("zoo",), Mode.QUIET)
    [bug] = json.loads(also.read_text(encoding="utf-8"))["bugs"]
    assert (bug["name"], bug["operations"]) == ("otter", 47)


def test_a_zoo_that_catches_nothing_does_not_fail() -> None:
    results = collected((OTTER,), [Catch("otter", None, 1, 60.0)], command="dynamesis zoo")
    assert results["median"] is None
    assert "0 of 1 caught" in markdown(results)


def test_a_bug_is_caught_shrunk_and_written_down(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name = "merged-clock-siblings"
    bug = BUGS[name]
    specimen = Specimen(name, bug.mechanism, bug.workload, bug.nemesis, bug.anomalies)
    also = tmp_path / "also.json", tmp_path / "also.md"
    code = run_simulated_zoo(
        (specimen,), 1, 1, tmp_path / "store", *also, ("zoo", "--simulate"), Mode.PLAIN
    )
    shown = capsys.readouterr().out
    assert code == 0, shown
    assert "(1 of 1)" in shown
    assert "1 of 1 caught, 0 false alarms" in also[1].read_text(encoding="utf-8")
    found = json.loads(also[0].read_text(encoding="utf-8"))
    (entry,) = found["bugs"]
    assert (entry["caught"], entry["pair"]) == (True, "valid")
    assert 0 < entry["operations"] <= 10
    assert entry["faults"] <= 3
    folder = Path(found["folder"])
    text = (folder / name / "simulated.yaml").read_text(encoding="utf-8")
    assert replay(text)["valid"] is False
    assert json.loads((folder / "zoo.json").read_text(encoding="utf-8")) == found


def test_what_was_hunted_before_an_interrupt_is_kept(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def catches(specimens: Sequence[Specimen], seed: int, jobs: int) -> Iterator[Catch]:
        yield Catch("otter", 5, 5, 1.25, ("lost-write",))  # it has overtaken the other
        assert json.loads(also.read_text(encoding="utf-8"))["left"] == ["newt"]
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(simulated, "_catches", catches)
    also = tmp_path / "also.json"
    code = run_simulated_zoo(
        (NEWT, OTTER), 1, 1, tmp_path / "store", also, None, ("zoo", "--simulate"), Mode.PLAIN
    )
    assert code == 3
    found = json.loads(also.read_text(encoding="utf-8"))
    assert [bug["name"] for bug in found["bugs"]] == ["otter"]
    assert (found["interrupted"], found["all_caught"], found["left"]) == (True, False, ["newt"])
    shown = capsys.readouterr().out
    assert "1 of 1 caught, 0 false alarms, interrupted with 1 left" in shown
    assert "Not hunted: newt." in shown
