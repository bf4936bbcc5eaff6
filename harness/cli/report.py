"""`dynamesis report`: make the page of a stored test again."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from typer import Argument


def run(
    folder: Annotated[Path, Argument(help="Folder of a test.", metavar="DIR")],
) -> int:
    """Judge a stored test again, and make its report anew."""
    from dynamesis.harness.check.evaluate import judge, locate, save, stored_test
    from dynamesis.harness.results.results import REPORT, TEST
    from dynamesis.harness.usage.exits import UsageError, exit_code

    stored, history = locate(folder)
    if stored is None or not (stored / TEST).is_file():
        raise UsageError(f"{folder}: no {TEST} here; give the folder of a test")
    results = judge(history, stored_test(stored))
    save(stored, results)
    print(stored / REPORT)
    return exit_code(results["valid"])
