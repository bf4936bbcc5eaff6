"""`dynamesis docs`: the manual, which is installed with the package."""

from __future__ import annotations

from typing import Annotated

from dynamesis.harness.usage.flags import Json
from typer import Argument


def run(
    page: Annotated[
        str | None, Argument(metavar="[PAGE]", help="The page to print, as the list names it.")
    ] = None,
    json: Json = False,
) -> None:
    """List the pages of the manual, or print one.

    The pages are Markdown files that come with the package; the list has the folder.
    """
    from dynamesis.harness.usage.manual import FOLDER, page_file, pages, title
    from dynamesis.harness.usage.output import print_json

    if page is not None:
        print(page_file(page).read_text("utf-8"), end="")
    elif json:
        rows = [
            {"name": name, "title": title(file), "file": str(file)}
            for name, file in pages().items()
        ]
        print_json(rows)
    else:
        print(f"The manual is in {FOLDER}; `dynamesis docs PAGE` prints a page.")
        for name, file in pages().items():
            print(f"  {name:20} {title(file)}")
