"""What a node that prints without end leaves with the results."""

from __future__ import annotations

from pathlib import Path

import pytest
from dynamesis.harness.targets import diagnosis


@pytest.mark.parametrize(
    ("log", "kept"),
    [(b"abcdefgh", b"abcdefgh"), (b"abcdefghi", b"abcd\n... 1 bytes left out ...\nfghi")],
)
def test_the_beginning_and_the_end_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, log: bytes, kept: bytes
) -> None:
    monkeypatch.setattr(diagnosis, "_KEPT", 4)
    (tmp_path / "output.log").write_bytes(log)
    diagnosis.keep(tmp_path / "output.log", tmp_path / "kept")
    assert (tmp_path / "kept").read_bytes() == kept
