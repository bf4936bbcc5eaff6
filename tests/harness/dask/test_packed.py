"""The folder of a test on its way: whole, within its limit, and nothing but files below it."""

from __future__ import annotations

import io
import os
import stat
import tarfile
from pathlib import Path

import pytest
from dynamesis.cluster.config.config import write_private
from dynamesis.harness.dask.packed import LEFT_OUT, BadPack, pack, unpack


def store(root: Path) -> Path:
    """A store with one test, whose nodes have logged what cannot be compressed."""
    test = root / "store" / "cart-cut" / "20261127T000000.000Z"
    files = {
        "test.json": b"{}",
        "results.json": b'{"valid": true}',
        "history.jsonl": os.urandom(20_000),
        "report.html": os.urandom(20_000),
        "nodes/n1/node.log": os.urandom(20_000),
        "links/proxy.log": os.urandom(20_000),
    }
    for name, content in files.items():
        (test / name).parent.mkdir(parents=True, exist_ok=True)
        (test / name).write_bytes(content)
    (test.parent / "latest").symlink_to(test.name)
    return root / "store"


def content(folder: Path) -> dict[str, bytes]:
    files = (each for each in folder.rglob("*") if each.is_file())
    return {str(each.relative_to(folder)): each.read_bytes() for each in files}


def test_what_is_packed_is_unpacked(tmp_path: Path) -> None:
    packed = pack(store(tmp_path))
    unpack(packed, tmp_path / "there")
    there = content(tmp_path / "there")
    assert len(there) == 6
    assert there.items() <= content(tmp_path / "store").items()


def test_what_only_its_owner_may_read_stays_so(tmp_path: Path) -> None:
    """The configuration of a node has the secret of its cluster in it."""
    secret = store(tmp_path) / "cart-cut" / "config.json"
    write_private(secret, b"{}")
    unpack(pack(tmp_path / "store"), tmp_path / "there")
    modes = {
        file.name: stat.S_IMODE(file.stat().st_mode)
        for file in (tmp_path / "there").rglob("*.json")
    }
    assert modes["config.json"] == 0o600
    assert modes["test.json"] == stat.S_IMODE((tmp_path / "there").stat().st_mode) & 0o666


@pytest.mark.parametrize(
    ("limit", "left"),
    [
        (70_000, {"nodes", "report.html", "history.jsonl"}),
        (50_000, {"report.html", "history.jsonl"}),
        (30_000, {"history.jsonl"}),
        (10_000, set()),
        (1, set()),
    ],
)
def test_what_is_too_large_is_left_out_by_its_use_and_named(
    tmp_path: Path, limit: int, left: set[str]
) -> None:
    packed = pack(store(tmp_path), limit)
    assert len(packed) <= max(limit, 2_000)
    unpack(packed, tmp_path / "there")
    [test] = (tmp_path / "there" / "cart-cut").iterdir()
    names = {each.name for each in test.iterdir()}
    assert names == {"test.json", "results.json", LEFT_OUT} | left
    assert "links" in (test / LEFT_OUT).read_text()


def archive(name: str, kind: bytes = tarfile.REGTYPE, size: int = 0) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        member = tarfile.TarInfo(name)
        member.type, member.linkname, member.size = kind, "/etc/passwd", size
        tar.addfile(member, io.BytesIO(b"x" * size))
    return buffer.getvalue()


@pytest.mark.parametrize(
    "packed",
    [
        archive("../outside"),
        archive("a/../../outside"),
        archive("/tmp/outside"),
        archive("link", tarfile.SYMTYPE),
        archive("link", tarfile.LNKTYPE),
        archive("device", tarfile.CHRTYPE),
        b"",
        b"not an archive",
        archive("cut", size=10_000)[:60],
    ],
    # an archive has the time in it, and workers of pytest must collect the same names
    ids=[
        "above",
        "far-above",
        "absolute",
        "symlink",
        "hard-link",
        "device",
        "empty",
        "text",
        "cut",
    ],
)
def test_nothing_but_files_below_the_folder_is_written(tmp_path: Path, packed: bytes) -> None:
    folder = tmp_path / "inner" / "there"
    folder.mkdir(parents=True)
    with pytest.raises(BadPack):
        unpack(packed, folder)
    assert [each for each in tmp_path.rglob("*") if each.is_file() and each.stat().st_size] == []
