"""The pages of the manual, by name: `dynamesis docs your-store`.

They are the Markdown files of `dynamesis.docs`; the first line of each is its title.
"""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from dynamesis.harness.usage.values import one_of

FOLDER = Path(str(files("dynamesis.docs")))


def pages() -> dict[str, Path]:
    """The file of each page by its path without suffix (`targets/redis`), in alphabetical order."""
    found = sorted(FOLDER.rglob("*.md"))
    return {path.relative_to(FOLDER).with_suffix("").as_posix(): path for path in found}


def title(path: Path) -> str:
    """The title of a page."""
    with path.open(encoding="utf-8") as lines:
        return next(lines, "").lstrip("#").strip()


def page_file(name: str) -> Path:
    """The file of the page that `name` names, with or without folder and suffix. Raises
    UsageError."""
    known = pages()
    asked = name.removeprefix("docs/").removesuffix(".md")
    return known[one_of("PAGE", asked, known)]
