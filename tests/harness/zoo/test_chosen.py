"""`zoo --only`: bugs of the table and of a user's own."""

from __future__ import annotations

from pathlib import Path

import pytest
from dynamesis.harness.usage.exits import UsageError
from dynamesis.harness.zoo.chosen import chosen
from dynamesis.harness.zoo.plan import planted_in, storm
from dynamesis.harness.zoo.simulated import hunt

OWN = Path(__file__).parents[3] / "examples/own_bug.py"


def test_without_names_all_of_the_table_are_meant() -> None:
    assert len(chosen(None, blind=False)) == 53


def test_a_bug_of_a_file_goes_through_the_storm_beside_those_of_the_table() -> None:
    own, listed = chosen(f"{OWN}:Overwrite, self-merge", blind=True)
    assert (own.name, own.bug) == ("own_bug.py:Overwrite", f"{OWN}:Overwrite")
    assert own.mechanism.startswith("Every write replaces all siblings")
    assert (listed.name, listed.bug) == ("self-merge", "self-merge")
    campaign = storm([own, listed], 1, "15s", 15.0)
    planted = {planted_in(cell): campaign.configs[cell.config] for cell in campaign.cells}
    assert planted["own_bug.py:Overwrite"]["bug"] == f"{OWN}:Overwrite"


def test_a_bug_of_a_file_is_hunted_by_schedules() -> None:
    (own,) = chosen(f"{OWN}:overwrite", blind=True)
    catch = hunt(own, 1, 60.0)
    assert catch.seed is not None
    assert "lost-write" in catch.anomalies


@pytest.mark.parametrize(
    ("only", "blind", "wrong"),
    [
        (f"{OWN}:Overwrite", False, "add --storm or --simulate"),
        (f"{OWN}:Overwrit", True, "is not there"),
        ("nowhere/bug.py:X", True, "no such file"),
        ("self-marge", True, "did you mean self-merge"),
    ],
)
def test_what_cannot_be_is_refused(only: str, blind: bool, wrong: str) -> None:
    with pytest.raises(UsageError, match=f"--only: .*{wrong}"):
        chosen(only, blind)


def test_two_bugs_of_one_name_are_refused(tmp_path: Path) -> None:
    other = tmp_path / "own_bug.py"
    other.write_text(OWN.read_text("utf-8"), encoding="utf-8")
    with pytest.raises(UsageError, match=r"both be called own_bug\.py:Overwrite"):
        chosen(f"{OWN}:Overwrite,{other}:Overwrite", blind=True)
