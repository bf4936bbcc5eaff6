"""What all workers of one run of pytest share: made once, by the first that asks for it."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@contextmanager
def shared_folder(factory: pytest.TempPathFactory, name: str) -> Iterator[Path]:
    """A folder of this run, for one worker at a time; the others wait."""
    base = factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / name
    folder.mkdir(exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield folder


def made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], None]) -> Path:
    """A file of this run: `make` writes it to the path that it is given, unless it is there."""
    with shared_folder(factory, f"made-{name}") as folder:
        file = folder / name
        if not file.exists():
            made = folder / "unfinished"
            make(made)
            made.rename(file)
        return file


def strict_types(
    factory: pytest.TempPathFactory, folder: Path, *files: str
) -> subprocess.CompletedProcess[str]:
    """What `mypy --strict` prints of a user's files in this folder, all with one cache: it takes
    some seconds of a processor to read what they import."""
    options = ["--strict", "--follow-imports=silent", "--ignore-missing-imports"]
    with shared_folder(factory, "mypy-cache") as cache:
        where = [f"--config-file={os.devnull}", f"--cache-dir={cache}"]
        return subprocess.run(
            [sys.executable, "-m", "mypy", *options, *where, "--explicit-package-bases", *files],
            cwd=folder,
            env=os.environ | {"MYPYPATH": str(ROOT / ".typing")},
            capture_output=True,
            text=True,
            check=False,
        )
