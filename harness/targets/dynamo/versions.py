"""Another version of our own node: `--target-version PATH`.

PATH is a virtual environment in which the package is installed, a checkout of it, a folder that
has the package, or an interpreter. It is asked once what it has: its code by a hash, since two
checkouts may call themselves the same version, and the protocol that its nodes speak.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from dynamesis.cluster.process.runtime import NodeRuntime
from dynamesis.cluster.process.supervisor import Cluster
from dynamesis.harness.usage.exits import UsageError

_FLAG = "--target-version"
#: s that the other interpreter may take for its answer
_PATIENCE = 60.0
_ASK = """
import hashlib, json, pathlib
import dynamesis.cluster
from dynamesis.cluster.core.protocol.messages import PROTOCOL
root = pathlib.Path(dynamesis.cluster.__file__).resolve().parent
code = hashlib.sha256()
for file in sorted(root.rglob("*.py")):
    code.update(str(file.relative_to(root)).encode() + b"\\0" + file.read_bytes())
print(json.dumps({"protocol": PROTOCOL, "root": str(root), "code": code.hexdigest()[:8]}))
"""


@dataclass(frozen=True)
class _Answer:
    protocol: int
    root: str
    code: str


@dataclass(frozen=True)
class NodeVersions:
    """harness.targets.capabilities.Versions of a cluster of our own nodes."""

    cluster: Cluster
    ours: NodeRuntime
    other: NodeRuntime

    @property
    def labels(self) -> tuple[str, str]:
        return self.ours.label, self.other.label

    def version(self, node: str) -> str:
        return self.cluster.runtime(node).label

    def use(self, node: str, version: str) -> None:
        self.cluster.use(node, self.other if version == self.other.label else self.ours)


def runtimes(given: str) -> tuple[NodeRuntime, NodeRuntime]:
    """Ours and the other version. Raises UsageError, also where nodes of the two would refuse to
    speak with each other."""
    path = Path(given).expanduser().absolute()
    other = _runtime(path)
    mine, theirs = _asked(NodeRuntime()), _asked(other)
    if other.path and not theirs.root.startswith(os.path.realpath(path)):
        raise UsageError(
            f"{_FLAG}: {path}: its package is not used, but the one in {theirs.root}; name that"
        )
    if theirs.protocol != mine.protocol:
        raise UsageError(
            f"{_FLAG}: {path} speaks protocol {theirs.protocol} and this version {mine.protocol}: "
            "nodes of the two refuse each other, so no cluster can be upgraded one by one"
        )
    same = theirs.code == mine.code
    label = f"{path.name} ({theirs.code})" if not same else f"{path.name} (same code)"
    return (
        NodeRuntime(f"this ({mine.code})"),
        NodeRuntime(label, other.python, other.path, other=True),
    )


def _runtime(path: Path) -> NodeRuntime:
    """How to start a node of what is there. The first that fits."""
    python = path / "bin" / "python"
    if python.is_file():
        return NodeRuntime("", str(python), (), other=True)
    for folder in (path / ".typing", path):
        if (folder / "dynamesis" / "cluster").is_dir():
            return NodeRuntime("", sys.executable, (str(folder),), other=True)
    if path.is_file() and os.access(path, os.X_OK):
        return NodeRuntime("", str(path), (), other=True)
    what = "a folder without" if path.is_dir() else "not there: expected"
    raise UsageError(
        f"{_FLAG}: {path} is {what} bin/python (a virtual environment), .typing/dynamesis (a "
        "checkout) or dynamesis/cluster (the package); name one of these"
    )


@cache
def _asked(runtime: NodeRuntime) -> _Answer:
    command = [runtime.python, "-P", "-c", _ASK]
    environment = runtime.environment(os.environ)
    try:
        answer = subprocess.run(
            command,
            env=environment,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=_PATIENCE,
            check=False,
        )
        return _Answer(**json.loads(answer.stdout.splitlines()[-1]))
    except (OSError, ValueError, TypeError, IndexError, subprocess.TimeoutExpired) as failure:
        lines = answer.stderr.splitlines() if isinstance(failure, IndexError) else []
        why = lines[-1] if lines else f"{type(failure).__name__}: {failure}"
        if isinstance(failure, subprocess.TimeoutExpired):
            why = f"it has not answered for {_PATIENCE:g} s"
        raise UsageError(
            f"{_FLAG}: {' '.join([runtime.python, *runtime.path])} has no node of Dynamesis: "
            f"{why}; name a virtual environment or checkout that has"
        ) from failure
