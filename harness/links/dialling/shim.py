"""Dialling by a preloaded connect(): nodes advertise where they listen, and each one's
connections to a peer are led to the proxy of that pair (shim.c has how).

It catches every program that calls connect() of its C library: C, C++, Java, Node, Python, Ruby,
Erlang. It does not catch Go and what is linked statically; see programs.py for what is known
before the start, and DialWatch for what is seen after it.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from dynamesis.harness.links.dialling.addresses import AddressDialling
from dynamesis.harness.links.dialling.base import DiallingContext, Launch
from dynamesis.harness.targets.system import EnvironmentFailed

SOURCE = Path(__file__).with_name("shim.c")
#: s that a compiler may take
_LIMIT = 60


class ShimDialling(AddressDialling):
    """Every node dials its peers' own addresses, and the shim leads it to its own proxies."""

    name = "shim"

    def __init__(self, context: DiallingContext) -> None:
        super().__init__(context)
        self._library = shim()

    def dials(self, source: str, dest: str) -> str:
        return self.advertised(dest)

    def launch(self, node: str) -> Launch:
        peers = [peer for peer in self._context.nodes if peer != node]
        dials = {self.reach(p, self._context.peer): self._proxy(node, p) for p in peers}
        return Launch((), preloaded(self._library, self._table(node), dials, os.environ))

    def _meaning(self, node: str) -> dict[str, tuple[str, bool]]:
        peers = [peer for peer in self._context.nodes if peer != node]
        straight = {self.reach(peer, self._context.peer): (peer, False) for peer in peers}
        return straight | {self._proxy(node, peer): (peer, True) for peer in peers}

    def _remarks(self) -> tuple[str, ...]:
        """How many connections the shim has led, and which nodes run without it."""
        led = ", ".join(f"{node} {self._seen(node)}" for node in self._context.nodes)
        bare = self._uncaught()
        without = (f"the shim is not loaded in: {', '.join(bare)}",) if bare else ()
        return (f"connections led to the proxies of their pairs: {led}", *without)

    def _uncaught(self) -> list[str]:
        return [node for node, pid in self._watch.pids.items() if self._is_bare(pid)]

    def _is_bare(self, pid: int) -> bool:
        """Whether a process runs without the shim; False for one that is gone."""
        try:
            maps = Path(f"/proc/{pid}/maps").read_text("utf-8", "replace")
        except OSError:
            return False
        return bool(maps) and self._library.name not in maps

    def _seen(self, node: str) -> int:
        path = Path(f"{self._table(node)}.seen")
        return path.read_bytes().count(b"\n") if path.exists() else 0

    def _proxy(self, source: str, dest: str) -> str:
        return self._links.address(source, dest)

    def _table(self, node: str) -> Path:
        return self._context.folder.absolute() / f"dials-{node}"


def preloaded(
    library: Path, table: Path, dials: Mapping[str, str], environment: Mapping[str, str]
) -> dict[str, str]:
    """The variables with which a process dials other addresses than it means to: host:port ->
    host:port. `table`: the file for them, which is written, with a copy of
    the library beside it; `environment`: what it has already."""
    lines = (f"{meant} {instead}\n".replace(":", " ") for meant, instead in dials.items())
    _replace(table, "".join(lines))
    beside = _beside(library, table.parent)
    loaded = " ".join(filter(None, (str(beside), environment.get("LD_PRELOAD"))))
    return {"LD_PRELOAD": loaded, "DYNAMESIS_DIALS": str(table)}


def _beside(library: Path, folder: Path) -> Path:
    """A copy of the library in the folder of the tables: a node that becomes another user reaches
    that, where it has its data, and not the cache of this one."""
    copy = folder / library.name
    if not copy.exists():
        fresh = copy.with_name(f"{copy.name}.new")
        shutil.copyfile(library, fresh)
        fresh.chmod(0o755)
        fresh.replace(copy)
    return copy


def shim() -> Path:
    """The shim as a library: from the cache, or compiled into it by the machine's C compiler.
    Raises EnvironmentFailed with the way out."""
    text = SOURCE.read_bytes()
    name = f"shim-{hashlib.sha256(text).hexdigest()[:16]}-{os.uname().machine}.so"
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    made = Path(home) / "dynamesis" / name
    if made.is_file():
        return made
    why = no_shim()
    if why is not None:
        raise EnvironmentFailed(why)
    try:
        made.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=made.parent, prefix="making-") as folder:
            _compile(Path(folder) / name)
            (Path(folder) / name).replace(made)
    except OSError as error:
        raise EnvironmentFailed(
            f"the shim cannot be put into {made.parent} ({error.strerror}); set XDG_CACHE_HOME to "
            f"a folder that can be written"
        ) from error
    return made


def no_shim() -> str | None:
    """Why there can be none on this machine, with the way out; None where there can."""
    if not sys.platform.startswith("linux"):
        return "the shim is for Linux (LD_PRELOAD)"
    if _compiler() is None:
        return "no C compiler for the shim: install one (Debian: gcc and libc6-dev), or set $CC"
    return None


def _compiler() -> str | None:
    named = os.environ.get("CC")
    return next((found for name in (named, "cc", "gcc", "clang") if name
                 and (found := shutil.which(name))), None)  # fmt: skip


def _compile(into: Path) -> None:
    compiler = _compiler()
    assert compiler is not None
    command = [compiler, "-O2", "-shared", "-fPIC", "-o", str(into), str(SOURCE), "-ldl"]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", timeout=_LIMIT)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[0]
        raise EnvironmentFailed(
            f"the shim cannot be compiled: {' '.join(command)}: {last}; "
            f"Debian: apt install gcc libc6-dev"
        )


def _replace(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f"{path.name}.new")
    fresh.write_text(text, encoding="ascii")
    fresh.chmod(0o644)  # for every user that a node may become
    fresh.replace(path)
