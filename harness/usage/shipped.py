"""The campaigns that come with the package, by name: `dynamesis campaign smoke`.

They are the YAML files of `dynamesis.examples`; the first line of each is a comment about it.
"""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from dynamesis.harness.usage.exits import UsageError
from dynamesis.harness.usage.values import one_of

_EXAMPLES, _SUFFIX = "dynamesis.examples", ".yaml"


def shipped_campaigns() -> dict[str, Path]:
    """The file of each, by name, in alphabetical order."""
    folder = Path(str(files(_EXAMPLES)))
    return {path.stem: path for path in sorted(folder.glob(f"*{_SUFFIX}"))}


def about(path: Path) -> str:
    """What a shipped campaign is for."""
    with path.open(encoding="utf-8") as lines:
        return next(lines, "").lstrip("#").strip()


def campaign_file(text: str) -> Path:
    """The file that `text` names: one that exists, else a shipped campaign, if it is a bare
    name. Raises UsageError."""
    path = Path(text)
    if path.is_file():
        return path
    shipped = shipped_campaigns()
    if path.name == text and not path.suffix:
        return shipped[one_of("CAMPAIGN", text, shipped)]
    why = "is a folder" if path.is_dir() else "there is no such file"
    raise UsageError(
        f"CAMPAIGN: {text}: {why}; name a YAML file, or a shipped campaign: {', '.join(shipped)}"
    )
