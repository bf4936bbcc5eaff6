"""Kills as failures of the power: what a node has not synced is gone when it starts again.

SIGKILL ends a process, and the kernel still writes what that had handed over: an append-only file
survives it, however seldom it is synced. What a machine loses when its power fails is all that
came after the last fsync. So a library that is preloaded (synced.c) notes how long each file was
when it was last synced, and before a node starts again its append-only files are cut to that: they
only ever grow, so that is what a disk may be left with.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from dynamesis.harness.targets.site import NodeSite, Site
from dynamesis.harness.targets.system import EnvironmentFailed

SOURCE = Path(__file__).with_name("synced.c")
#: The environment of a node: the file with what it has synced.
SYNCED = "DYNAMESIS_SYNCED"
#: s that the compiler may take
_LIMIT = 60


def fail_power(node: NodeSite, site: Site) -> dict[str, str]:
    """Have a node that is not running lose what it has not synced; the environment in which it is
    to be started. Raises EnvironmentFailed where there is no C compiler."""
    record = node.data.parent / "synced"
    lengths = synced_lengths(record.read_text(encoding="utf-8") if record.exists() else "")
    for file in (node.data / "appendonlydir").glob("*.incr.aof"):
        length = lengths.get(str(file), 0)
        if file.stat().st_size > length:
            with file.open("r+b") as appended:
                appended.truncate(length)
    return {"LD_PRELOAD": str(_library(site)), SYNCED: str(record)}


def synced_lengths(record: str) -> dict[str, int]:
    """By path, the length that a file had when it was last synced; of the whole lines of what
    synced.c has written."""
    lines = (line.partition(" ") for line in record.splitlines(keepends=True) if "\n" in line)
    return {path.removesuffix("\n"): int(size) for size, _, path in lines}


def _library(site: Site) -> Path:
    """The compiled library, one for the whole cluster."""
    made = site.folder / "synced.so"
    if made.exists():
        return made
    compiler = next(filter(None, map(shutil.which, ("cc", "gcc", "clang"))), None)
    if compiler is None:
        raise EnvironmentFailed(
            "target redis: kill=power needs a C compiler; Debian: apt install gcc libc6-dev"
        )
    command = [compiler, "-shared", "-fPIC", "-O1", "-o", str(made), str(SOURCE), "-ldl"]
    done = subprocess.run(
        command, capture_output=True, encoding="utf-8", timeout=_LIMIT, check=False
    )
    if done.returncode:
        why = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[0]
        raise EnvironmentFailed(f"target redis: {SOURCE.name} cannot be compiled: {why}")
    return made
