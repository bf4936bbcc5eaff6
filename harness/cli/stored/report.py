"""`dynamesis report`: make the page of a stored test again, or its pictures as files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from typer import Argument, Option


def run(
    folder: Annotated[Path, Argument(help="Folder of a test.", metavar="DIR")],
    svg: Annotated[
        Path | None,
        Option(help="Write its pictures into this folder, as static SVG.", metavar="FOLDER"),
    ] = None,
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
    if svg is not None:
        from dynamesis.harness.check.drawn import save_pictures

        for path in save_pictures(stored, svg):
            print(path)
    return exit_code(results["valid"])
