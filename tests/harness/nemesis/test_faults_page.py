from __future__ import annotations

from pathlib import Path

from dynamesis.harness.links import LINKS
from dynamesis.harness.links.faults import FAULTS, KINDS
from dynamesis.harness.nemesis import PACKAGES

PAGE = (Path(__file__).parents[3] / "docs" / "faults.md").read_text()


def test_the_page_on_faults_names_all_there_are() -> None:
    members = [name for name in PACKAGES if "." in name]
    missing = [name for name in (*members, *FAULTS, *LINKS) if f"`{name}`" not in PAGE]
    assert missing == []


def test_the_page_ranks_faults_as_the_code_does() -> None:
    rows = [line.split("`")[1] for line in PAGE.splitlines() if line.startswith("| `")]
    ranked = [KINDS[name] for name in rows if name in KINDS]
    assert ranked == sorted(FAULTS, key=lambda kind: -FAULTS[kind].strength)
