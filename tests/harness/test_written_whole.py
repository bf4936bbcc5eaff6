"""A file that a user names is written whole or not at all, also where files may not grow."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest
from dynamesis.harness.results.results import write_whole


def test_a_file_that_cannot_grow_is_left_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    path.write_text("as it was")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1024, hard))
    try:
        with pytest.raises(OSError, match=r"page\.html"):
            write_whole(path, "x" * 4096)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert path.read_text() == "as it was"
    assert os.listdir(tmp_path) == ["page.html"]


def test_links_and_devices_stay_what_they_are(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("old")
    (tmp_path / "link").symlink_to("file")
    write_whole(tmp_path / "link", "new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "file").read_text() == "new"
    write_whole(Path("/dev/null"), "nothing")
    assert not Path("/dev/null").is_file()
    with pytest.raises(OSError, match="/dev/full"):
        write_whole(Path("/dev/full"), "too much")


def test_standard_output_goes_where_it_goes(tmp_path: Path) -> None:
    """Also where that is a file, which is not to be replaced under what writes to it."""
    command = "from pathlib import Path; from dynamesis.harness.results.results import write_whole;"
    command += "print('before', flush=True); write_whole(Path('/dev/stdout'), 'page\\n')"
    piped = subprocess.run([sys.executable, "-c", command], capture_output=True, text=True)
    assert (piped.stdout, piped.returncode) == ("before\npage\n", 0), piped.stderr
    with (tmp_path / "out").open("a") as out:
        subprocess.run([sys.executable, "-c", command], stdout=out, check=True)
        print("after", file=out)
    assert (tmp_path / "out").read_text().endswith("after\n")
