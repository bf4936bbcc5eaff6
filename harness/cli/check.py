"""`dynamesis check`: judge a stored history again."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from typer import Argument, Option


def run(
    path: Annotated[Path, Argument(help="Folder of a test, or a history file.", metavar="PATH")],
    junit: Annotated[Path | None, Option(help="Write the verdict here as JUnit XML.")] = None,
) -> int:
    """Judge a stored history again; changes nothing in the folder."""
    from rich.console import Console

    from harness.cli.exits import exit_code
    from harness.cli.judging import judge, locate
    from harness.cli.values import writable_file
    from harness.report.junit import junit as as_junit
    from harness.report.summary import tell
    from harness.store import TEST

    if junit is not None:
        writable_file("--junit", junit)
    folder, history = locate(path)
    test = folder.load_json(TEST) if folder else {}
    results = judge(history, test)
    if junit is not None:
        junit.write_text(as_junit(test, results), encoding="utf-8")
    tell(Console(), results)
    return exit_code(results["valid"])
