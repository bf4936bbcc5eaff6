"""What `dynamesis init` asks, and the folder that it writes."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from importlib.resources import files as resources
from pathlib import Path

from dynamesis.harness.init.source import files
from dynamesis.harness.init.templates import read_answers
from dynamesis.harness.usage.exits import UsageError

#: the package and the files of the worked example
_EXAMPLE = "dynamesis.examples.kv_http"
EXAMPLE_FILES = ("store.py", "target.py", "test_kv.py", "campaign.yaml", "README.md")

#: by flag, what is asked on a terminal
QUESTIONS = {
    "start": "How do you start a node? A command; {port}, {data}, {peers} (the others, host:port,"
    " by comma),\n{peer_port}, {name}, {host} are filled in. Empty: a worked example is written.",
    "read": "How do you read? Such as GET http://{address}/{key}, or a command with {port}, {key}.",
    "write": "How do you write? Such as PUT http://{address}/{key} {value}, or a command.",
}


def init(folder: Path, given: Mapping[str, str | None]) -> tuple[list[Path], str]:
    """Write the files for a store into a folder; returns them, and what --target takes. What is
    not `given` of QUESTIONS is asked, on a terminal. Raises UsageError."""
    answers = _ask(given)
    if answers is None:
        return _write(folder, _example()), "target.py:Kv"
    return _write(
        folder, files(_name(folder), read_answers(**answers, folder=folder))
    ), "target.py:Store"


def _ask(given: Mapping[str, str | None]) -> dict[str, str] | None:
    """The answers; None for the worked example."""
    answers = {flag: text for flag, text in given.items() if text is not None}
    missing = [flag for flag in QUESTIONS if flag not in answers]
    if missing and not sys.stdin.isatty():
        if answers:
            flags = ", ".join(f"--{flag}" for flag in missing)
            raise UsageError(f"{flags}: missing; without a terminal give all three, or none")
        return None
    for flag in missing:
        print(QUESTIONS[flag])
        answers[flag] = input("> ").strip()
        if flag == "start" and not answers[flag]:
            return None
    return answers


def _example() -> dict[str, str]:
    return {name: (resources(_EXAMPLE) / name).read_text("utf-8") for name in EXAMPLE_FILES}


def _name(folder: Path) -> str:
    """The name of the store: that of its folder, as far as it is one in Python."""
    name = re.sub(r"\W+", "_", folder.resolve().name.lower(), flags=re.ASCII).strip("_")
    return name if name[:1].isalpha() else f"store_{name}".rstrip("_")


def _write(folder: Path, texts: Mapping[str, str]) -> list[Path]:
    paths = [folder / name for name in texts]
    there = [path.name for path in paths if path.exists() or path.is_symlink()]
    if there:
        what = f"{', '.join(there)} would be overwritten"
        raise UsageError(f"DIR: {folder}: {what}; name another folder, or a new one")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path, text in zip(paths, texts.values(), strict=True):
            with path.open("x", encoding="utf-8") as file:
                file.write(text)
    except OSError as error:
        raise UsageError(f"DIR: {folder}: {error.strerror or error}; name another") from error
    return paths
