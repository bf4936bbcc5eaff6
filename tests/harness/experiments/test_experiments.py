"""`dynamesis experiment`: what the paper's experiments find on our ring and our nodes."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest
from dynamesis.harness.cli.app import run
from dynamesis.harness.experiments.base import Curve, Findings, Plot, Scale, relative
from dynamesis.harness.experiments.divergence import run as divergence
from dynamesis.harness.experiments.load_balance import run as load_balance
from dynamesis.harness.experiments.shown import as_plot
from dynamesis.harness.experiments.staleness import run as staleness
from dynamesis.harness.experiments.table import EXPERIMENTS
from dynamesis.harness.experiments.write_buffer import run as write_buffer

KEYS = {"experiment", "section", "seed", "effort", "paper", "rows", "error", "figures", "notes"}


def quiet(line: str) -> None:
    """What is reported meanwhile is of no concern."""


@pytest.fixture(scope="module")
def balance() -> Findings:
    """A tenth of what the documentation shows: up to 30,000 requests."""
    return load_balance(Scale(effort=0.1), quiet)


def test_strategy_3_balances_best_and_strategy_2_worst(balance: Findings) -> None:
    found = balance
    eight = [row for row in found.rows if row["figure"] == 8]
    assert all(row["3"] > max(row["1"], row["2"]) for row in eight)
    assert all(row["2"] < row["1"] for row in eight)
    assert found.figures["strategy_3_best"] == found.figures["sizes"] == len(eight)


def test_more_load_brings_nodes_into_balance(balance: Findings) -> None:
    six = [row for row in balance.rows if row["figure"] == 6]
    assert [row["requests"] for row in six] == sorted(row["requests"] for row in six)
    for strategy in ("1", "3"):
        assert six[-1][strategy] < six[0][strategy]
    assert six[-1]["3"] < six[-1]["1"], "equal partitions are even, tokens are as lucky as ever"


def test_another_seed_draws_other_requests() -> None:
    one, again, two = (
        load_balance(Scale(seed=seed, effort=0.02), quiet).rows[-1] for seed in (1, 1, 2)
    )
    assert one == again
    assert one != two


def test_staleness_follows_its_models() -> None:
    found = staleness(Scale(effort=0.1), quiet)
    assert found.error is not None
    assert found.error < 0.3, "200 trials: four standard deviations of the smallest share"
    by_k = [row["measured"] for row in found.rows if "k" in row]
    by_time = [row["measured"] for row in found.rows if "t_ms" in row]
    assert by_k[0] < by_k[2] < by_k[-1] < 1
    assert by_time[0] < by_time[3] < by_time[-1]


def test_carts_diverge_by_concurrent_writers() -> None:
    found = divergence(Scale(effort=0.1), quiet)
    rows = {(row["faults"], row["clients"], row["carts"]): row for row in found.rows}
    alone, crowded = rows["none", 1, 400], rows["none", 20, 5]
    assert alone["one_%"] == 100
    assert crowded["one_%"] < 80
    assert ("cut,kill,pause", 4, 100) in rows
    for row in found.rows:
        shares = sum(row[column] for column in ("one_%", "two_%", "three_%", "more_%"))
        assert shares == pytest.approx(100, abs=0.01)


def test_the_least_effort_has_every_row() -> None:
    found = divergence(Scale(effort=1e-6), quiet)
    assert all(row["reads"] > 0 for row in found.rows)


@pytest.mark.cluster
def test_a_buffer_loses_what_was_acknowledged_and_synced_writes_do_not() -> None:
    lost = 0
    for _ in range(5):  # on a busy machine the buffer may be on disk by the time of the kill
        found = write_buffer(Scale(effort=0.1), quiet)
        by_mode = {row["mode"]: row for row in found.rows}
        assert by_mode["synced"]["lost"] == by_mode["synced in batches"]["lost"] == 0
        assert all(row["count"] > 0 for row in found.rows)
        if lost := by_mode["buffered"]["lost"]:
            break
    assert lost > 0


def test_the_command_prints_the_table_and_writes_json_and_a_plot(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    figures, plot = tmp_path / "f.json", tmp_path / "f.svg"
    command = ["experiment", "load-balance", "--effort", "0.02"]
    assert run([*command, "--json", str(figures), "--plot", str(plot)]) == 0
    shown = capsys.readouterr().out
    assert "section 6.2" in shown
    assert "paper: Figure 8" in shown
    written = json.loads(figures.read_text())
    assert written.keys() == KEYS
    assert {row["figure"] for row in written["rows"]} == {6, 8}
    words = "".join(ElementTree.fromstring(plot.read_text()).itertext())
    assert "load-balance efficiency" in words
    assert "strategy 3" in words


def test_list_shows_all_and_what_is_none_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["experiment", "list"]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == [*EXPERIMENTS]
    assert run(["experiment", "figure-9"]) == 2
    assert "there is no 'figure-9'; allowed: client-driven" in capsys.readouterr().err
    assert run(["experiment", "load-balance", "--effort", "0"]) == 2
    assert "--effort: 0 is out of range; allowed: above 0, to 100" in capsys.readouterr().err


def test_a_plot_of_one_point_and_of_equal_values_can_be_drawn() -> None:
    experiment = EXPERIMENTS["load-balance"]
    for points in ([(1.0, 0.0)], [(1.0, 2.0), (2.0, 2.0)]):
        drawn = as_plot(experiment, Plot("x", "y", [Curve("c", points, model=True)], log=True))
        assert "c (model)" in drawn.standalone()


def test_distance_from_a_model_is_relative_unless_that_is_nothing() -> None:
    assert relative(1.1, 1.0) == pytest.approx(0.1)
    assert relative(0.02, 0.0) == 0.02
