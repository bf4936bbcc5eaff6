"""A node that becomes another user reads what leads its connections: it lies where its data are."""

from __future__ import annotations

from pathlib import Path

from dynamesis.harness.links.dialling.shim import preloaded


def test_the_library_lies_beside_the_table_and_all_may_read_both(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    cache.mkdir()
    library = cache / "shim-0.so"
    library.write_bytes(b"a library")
    library.chmod(0o600)
    table = tmp_path / "work/dials-n1"
    dials = {"127.0.0.1:1": "127.0.0.1:2"}
    variables = preloaded(library, table, dials, {"LD_PRELOAD": "/lib/other.so"})
    copy, other = variables["LD_PRELOAD"].split()
    assert Path(copy) == table.parent / library.name
    assert other == "/lib/other.so"
    assert Path(copy).read_bytes() == b"a library"
    assert Path(copy).stat().st_mode & 0o777 == 0o755
    assert table.stat().st_mode & 0o777 == 0o644
    assert table.read_text() == "127.0.0.1 1 127.0.0.1 2\n"
