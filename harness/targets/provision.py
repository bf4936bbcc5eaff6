"""Where the files of a store are that come from Maven or npm and not from the system: a folder
that an environment variable names, else one in our cache."""

from __future__ import annotations

import os
from pathlib import Path

from dynamesis.harness.targets.system import EnvironmentFailed


def cache_folder(name: str) -> Path:
    """Our cache's folder of this name; there or not."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home) / "dynamesis" / name


def provided(target: str, variable: str, name: str, holds: str, how: str) -> Path:
    """The folder of a store's files.

    variable: the environment variable that may name it; else it is `name` in our cache
    holds: a path or a pattern in it by which it is known
    how: the command that fills the cache's folder, with FOLDER in its place

    Raises EnvironmentFailed, with that command, where it is not there.
    """
    given = os.environ.get(variable)
    folder = Path(given).expanduser() if given else cache_folder(name)
    if next(folder.glob(holds), None) is not None:
        return folder.resolve()
    source = f"${variable}" if given else f"its folder (${variable} is not set)"
    command = how.replace("FOLDER", str(cache_folder(name)))
    raise EnvironmentFailed(
        f"target {target} needs {holds} in {source}: {folder} lacks it; get it by: {command}"
    )
