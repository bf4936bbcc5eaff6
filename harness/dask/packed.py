"""The folder of a test as one value, to be sent from a worker to the campaign.

What is too large is left out by its use: the logs of proxies first, then those of nodes, the report
(which `dynamesis report` makes again), and the history last. The verdict always fits.
"""

from __future__ import annotations

import gzip
import io
import os
import tarfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from dynamesis.harness.results.results import HISTORY, NODES, REPORT

#: bytes of one folder, packed
LIMIT = 32 << 20
#: in the folder of a test, the names of what was left out
LEFT_OUT = "left-out.txt"
#: what is left out, one after the other
_LEAST = ("links", NODES, REPORT, HISTORY)
#: bytes that a packed folder may come to on disk: what a campaign unpacks is not trusted to end
_MOST = 64 * LIMIT


class BadPack(ValueError):
    """What a worker sent cannot be unpacked."""


def pack(folder: Path, limit: int = LIMIT) -> bytes:
    """A folder with all files below it, as tar, with gzip. Links are not followed."""
    for left_out in range(len(_LEAST) + 1):
        packed = _pack(folder, _LEAST[:left_out])
        if len(packed) <= limit:
            return packed
    return packed


def unpack(packed: bytes, folder: Path) -> None:
    """Write what was packed below a folder; what only its owner might read there, as the
    configuration of a node with its secret, only its owner may read here. Raises BadPack for
    anything but files with names below it."""
    written = 0
    try:
        with tarfile.open(fileobj=io.BytesIO(packed), mode="r:gz") as archive:
            for member in archive:
                name = PurePosixPath(member.name)
                written += member.size
                if not member.isreg() or name.is_absolute() or ".." in name.parts:
                    raise BadPack(f"{member.name!r} is not a file of a test")
                if written > _MOST:
                    raise BadPack(f"it unpacks to more than {_MOST} bytes")
                content = archive.extractfile(member)
                assert content is not None
                target = folder / name
                target.parent.mkdir(parents=True, exist_ok=True)
                with open(
                    target, "wb", opener=_for_owner if not member.mode & 0o077 else None
                ) as at:
                    at.write(content.read())
    except (tarfile.TarError, EOFError, gzip.BadGzipFile) as damaged:
        raise BadPack(f"damaged: {damaged}") from damaged


def _for_owner(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _pack(folder: Path, left_out: tuple[str, ...]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz", compresslevel=6) as archive:
        for file in _files(folder):
            # <test>/<time>/<what>: below that it is as `dynamesis test` lays it out
            if left_out and left_out_by(file.relative_to(folder), left_out):
                continue
            archive.add(file, str(file.relative_to(folder)), recursive=False)
        if left_out:
            note = f"too large to be sent: {', '.join(left_out)}\n".encode()
            for test in {file.parent for file in _files(folder) if file.name == "test.json"}:
                entry = tarfile.TarInfo(str((test / LEFT_OUT).relative_to(folder)))
                entry.size = len(note)
                archive.addfile(entry, io.BytesIO(note))
    return buffer.getvalue()


def left_out_by(file: Path, names: tuple[str, ...]) -> bool:
    """Whether a file of a test is one of these, or below it."""
    return not set(file.parts[2:3]).isdisjoint(names)


def _files(folder: Path) -> Iterator[Path]:
    """Every regular file, in an order of its own."""
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not any(each.is_symlink() for each in (path, *path.parents)):
            yield path
