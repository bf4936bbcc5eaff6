"""Copies what is to be published of campaigns: `gather_site.py STORE SITE`.

Of each campaign its last night: the page, its data, and the reports of the tests that it links to.
Histories and logs stay in the artifacts.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

PAGES = ("index.html", "nightly.json", "campaign.json", "summary.md", "zoo.json", "zoo.md")


def main(store: Path, site: Path) -> None:
    """One folder for each campaign."""
    for latest in sorted(store.glob("campaigns/*/latest")):
        folder, target = latest.resolve(), site / latest.parent.name
        reports = folder.glob("runs/*/*/2*/report.html")
        for file in [*(folder / name for name in PAGES), *reports]:
            if file.is_file():
                copy = target / file.relative_to(folder)
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(file, copy)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
