"""What a machine may lack: a reader of the output, disk, files, a home, a name for the user."""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.end_to_end.conftest import Call, Inside, Run, Start

pytestmark = pytest.mark.cluster

SCRIPT = str(Path(sys.executable).with_name("dynamesis"))
ROOT_FOLDER = Path(__file__).resolve().parents[2]
CORPUS = ROOT_FOLDER / "tests" / "histories"
ASKED = ("test", "--workload", "register", "--nemesis", "none", "--nodes", "3")
TEST = (*ASKED, "--links", "direct")
#: where it is the harness alone that meets what the machine lacks
SIMULATED = (*ASKED, "--world", "simulated")
ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root can do that")


def shell(folder: Path, command: str, **kwargs: object) -> subprocess.CompletedProcess[str]:
    """A command line of bash in which $D is dynamesis; its exit code is the first one's of a
    pipe."""
    return subprocess.run(
        ["bash", "-c", f'D={SCRIPT}; {command}; exit "${{PIPESTATUS[0]}}"'],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=500,
        **kwargs,  # type: ignore[call-overload]
    )


@pytest.fixture(scope="module")
def tested(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a valid test, in virtual time: it is judged again and again by processes."""
    folder = tmp_path_factory.mktemp("tested")
    done = Inside(folder, *SIMULATED, "--time-limit", "2s", "--seed", "3")
    assert done.wait() == 0, done.printed()
    return (folder / "store" / "latest").resolve()


def one_line(text: str) -> str:
    (line,) = text.splitlines()
    return line


# ---- output

WAYS = ["| true", "| head -c 1", "> /dev/full", ">&-", "2>&-", "<&-", "<&- >&- 2>&-"]
INVALID = next(iter(sorted((CORPUS / "bad").glob("*.jsonl"))))


def _by_turns(first: list[str], second: list[object]) -> list[object]:
    """Each of `first` with one of `second` in turn; the other pairs at night."""
    return [
        pytest.param(one, other, marks=() if j == i % len(second) else pytest.mark.nightly)
        for i, one in enumerate(first)
        for j, other in enumerate(second)
    ]


@pytest.mark.parametrize(("way", "invalid"), _by_turns(WAYS, [False, True]))
def test_the_reader_does_not_change_a_verdict(tested: Path, way: str, invalid: bool) -> None:
    history = INVALID if invalid else tested
    done = shell(tested, f"$D check {history} {way}")
    assert done.returncode == (1 if invalid else 0), done.stderr
    assert done.stderr == ""


@pytest.mark.parametrize(
    ("command", "way"),
    _by_turns(["--help", "--version", "list", "log {}"], ["| true", "> /dev/full", ">&- 2>&-"]),
)
def test_nor_does_it_change_any_other_command(tested: Path, command: str, way: str) -> None:
    done = shell(tested, f"$D {command.format(tested)} {way}")
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    "way", ["| head -1", pytest.param("> /dev/full", marks=pytest.mark.nightly), ">&- 2>&-"]
)
def test_a_test_ends_as_it_would(tmp_path: Path, way: str) -> None:
    done = shell(tmp_path, f"$D {' '.join(SIMULATED)} --time-limit 1s --seed 3 {way}")
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "store" / "latest" / "results.json").exists()


def test_wrong_usage_is_2_even_if_nothing_reads_it(tmp_path: Path) -> None:
    assert shell(tmp_path, "$D check nothing 2>&-").returncode == 2
    assert shell(tmp_path, "$D check nothing 2>/dev/full").returncode == 2


def test_a_pipe_that_does_not_block_gets_everything(tested: Path) -> None:
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 4096)
    process = subprocess.Popen([SCRIPT, "log", str(tested)], stdout=writing)
    os.close(writing)
    time.sleep(1.0)  # it is full by then; were it not, this would show nothing
    with os.fdopen(reading, "rb") as pipe:
        printed = pipe.read()
    assert process.wait(timeout=300) == 0
    whole = subprocess.run([SCRIPT, "log", str(tested)], capture_output=True, check=True).stdout
    assert printed == whole
    assert len(printed) > 2 * 4096


# ---- limits


@pytest.mark.parametrize(
    ("limit", "remedy"),
    [
        pytest.param("-n 30", "ulimit -n", marks=pytest.mark.nightly),
        ("-n 100", "ulimit -n"),
        ("-f 100", "ulimit -f"),
    ],
)
def test_too_little_of_anything_is_reported_before_the_boot(
    tmp_path: Path, limit: str, remedy: str
) -> None:
    done = shell(tmp_path, f"ulimit {limit}; $D {' '.join(TEST)} --time-limit 1s | cat")
    assert done.returncode == 4, done.stdout
    assert remedy in one_line(done.stderr)


@pytest.mark.parametrize("limit", ["-n 30", "-f 0"])
def test_a_history_is_judged_all_the_same(tested: Path, limit: str) -> None:
    done = shell(tested, f"ulimit {limit}; $D check {tested} | cat")
    assert (done.returncode, done.stdout, done.stderr) == (0, "valid\n", "")


def test_a_folder_that_takes_nothing(tmp_path: Path, tested: Path) -> None:
    (tmp_path / "file").touch()
    done = shell(tmp_path, f"$D {' '.join(TEST)} --store file")
    assert done.returncode == 2
    assert "takes no results" in one_line(done.stderr)


# ---- no home, no name


def homeless() -> dict[str, str]:
    """The environment of a user who has no home and no cache."""
    unset = ("HOME", "XDG_CACHE_HOME", "TOXIPROXY_SERVER")
    return {name: value for name, value in os.environ.items() if name not in unset}


#: A user without an entry in passwd that may read all (the interpreter may lie in the home of
#: root) and write nothing of others.
STRANGER = (
    "setpriv --reuid 54321 --clear-groups --inh-caps +dac_read_search "
    "--ambient-caps +dac_read_search"
)
needs_setpriv = pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("setpriv") is None, reason="needs root and setpriv"
)


@needs_setpriv
def test_a_user_without_home_or_name(tmp_path: Path, tested: Path) -> None:
    tmp_path.chmod(0o777)
    environment = homeless()
    command = f"{STRANGER} $D {' '.join(TEST)} --time-limit 1s --store mine --seed 3"
    done = shell(tmp_path, command, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    done = shell(tmp_path, command.replace("direct", "toxiproxy"), env=environment)
    assert done.returncode == 4
    assert "XDG_CACHE_HOME" in one_line(done.stderr)
    with tempfile.TemporaryDirectory(dir="/tmp") as open_to_all:
        Path(open_to_all).chmod(0o755)
        shutil.copytree(tested, Path(open_to_all) / "kept")
        done = shell(tmp_path, f"{STRANGER} $D check {open_to_all}/kept", env=environment)
    assert (done.returncode, done.stdout) == (0, "valid\n"), done.stderr


@needs_setpriv
def test_a_user_that_may_write_nowhere(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    environment = homeless()
    done = shell(tmp_path, f"{STRANGER} $D {' '.join(TEST)}", env=environment)
    assert done.returncode == 4
    assert "Permission denied" in one_line(done.stderr)


# ---- a full disk


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[Path]:
    disk = folder / "disk"
    disk.mkdir()
    mounting = ["mount", "-t", "tmpfs", "-o", f"size={size}", "none", str(disk)]
    if subprocess.run(mounting, capture_output=True, check=False).returncode:
        pytest.skip("no disk can be mounted here")
    try:
        yield disk
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


def fill(disk: Path) -> None:
    with (disk / "fill").open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            pass


@ROOT
def test_a_disk_that_fills_up_in_the_middle(start: Start, tmp_path: Path) -> None:
    with small_disk(tmp_path, "40m") as disk:
        run = start(*TEST, "--time-limit", "120s", "--store", "disk/store")
        run.until(lambda: operations(run) > 20, "operations")
        fill(disk)
        assert run.wait() == 4, run.printed()
        assert run.processes() == []
        printed = run.printed().splitlines()
        assert "unknown" in printed, "what was written is judged"
        assert sum("dynamesis test: " in line for line in printed) == 1, run.printed()
        (disk / "fill").unlink()
        again = start("check", str(run.results()))
        assert again.wait() == 3, again.printed()
        assert operations(run) > 20


def operations(run: Run) -> int:
    try:
        return sum(op["type"] == "ok" for op in run.history())
    except (OSError, ValueError):
        return 0


@ROOT
def test_a_disk_that_is_full_at_the_end_hides_no_verdict(tmp_path: Path, tested: Path) -> None:
    with small_disk(tmp_path, "20m") as disk:
        copy = disk / "kept"
        shutil.copytree(tested, copy)
        fill(disk)
        done = shell(tmp_path, f"$D check {copy}")
        assert (done.returncode, done.stdout, done.stderr) == (0, "valid\n", "")
        done = shell(tmp_path, f"$D check {copy} --junit disk/verdict.xml")
        assert (done.returncode, done.stdout) == (4, "valid\n")
        assert "No space left" in one_line(done.stderr)
        done = shell(tmp_path, f"$D {' '.join(TEST)} --store disk/store")
        assert done.returncode == 4
        assert "No space left" in one_line(done.stderr)


def test_results_that_cannot_be_saved_do_not_hide_the_verdict(tmp_path: Path) -> None:
    asked = f"$D {' '.join(SIMULATED)} --time-limit 1s --seed 3"
    done = shell(tmp_path, f"{asked} --junit /dev/full")
    assert done.returncode == 4, done.stdout + done.stderr
    assert "valid" in done.stdout.splitlines()
    assert "No space left" in one_line(done.stderr)


# ---- deep YAML, signals

DEEP = "[" * 20_000 + "]" * 20_000


def test_yaml_without_end(call: Call, tmp_path: Path) -> None:
    (tmp_path / "deep.yaml").write_text(DEEP)
    (tmp_path / "deep.json").write_text('{"params": ' * 20_000 + "}" * 20_000)
    (tmp_path / "map.yaml").write_text("{a: " * 20_000 + "}" * 20_000)
    for command in (("campaign", "deep.yaml"), ("test", "--schedule", "map.yaml")):
        done = call(*command)
        assert done.wait() == 2, done.printed()
        assert "nested too deep" in one_line(done.printed())
    for file in ("deep.yaml", "deep.json"):
        done = shell(ROOT_FOLDER, f"{sys.executable} -m cluster --config {tmp_path / file}")
        assert done.returncode == 2
        assert "nested too deep" in one_line(done.stderr)
    done = call("test", "--param", f"weights={'[' * 20_000}")
    assert done.wait() == 2, done.printed()
    one_line(done.printed())


@pytest.fixture
def terminal() -> Iterator[None]:
    """What is started has one that can be closed, also where the suite itself runs under nohup."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.mark.usefixtures("terminal")
def test_a_closed_terminal_ends_a_test_in_order(start: Start) -> None:
    run = start("test", "--nemesis", "kill,pause", "--links", "direct", "--nodes", "3",
                "--time-limit", "60s", "--seed", "5")  # fmt: skip
    run.until_loaded()
    run.process.send_signal(signal.SIGHUP)
    assert run.wait() == 3, run.printed()
    assert "unknown" in run.printed().splitlines()
    assert run.processes() == []


def test_nohup_is_respected(start: Start, tmp_path: Path) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        run = start(*TEST, "--time-limit", "2s", "--seed", "5")
    finally:
        signal.signal(signal.SIGHUP, before)
    run.until(lambda: operations(run) > 0, "operations")
    run.process.send_signal(signal.SIGHUP)
    assert run.wait() == 0, run.printed()


@pytest.mark.usefixtures("terminal")
@pytest.mark.parametrize(
    ("command", "up", "number"),
    [
        (("cluster", "--nodes", "3"), "nodes are up", signal.SIGHUP),
        (("serve", "--port", "0"), "ctrl-C ends it", signal.SIGTERM),
    ],
)
def test_so_does_it_end_what_is_kept_up(
    start: Start, tmp_path: Path, command: tuple[str, ...], up: str, number: int
) -> None:
    (tmp_path / "store").mkdir()
    run = start(*command)
    run.until(lambda: up in run.printed(), "it")
    run.process.send_signal(number)
    assert run.wait() == 0, run.printed()
    assert run.processes() == []


@pytest.mark.usefixtures("terminal")
def test_so_does_it_end_a_campaign(start: Start, tmp_path: Path) -> None:
    (tmp_path / "one.yaml").write_text(
        "name: one\ntime_limit: 60s\nmatrix: {workload: [register], nemesis: [none], seed: [1],"
        " config: [{name: three, nodes: 3}]}\n"
    )
    run = start("campaign", "one.yaml")
    run.until(lambda: any("config.json" in each for each in run.processes()), "nodes")
    run.process.send_signal(signal.SIGHUP)
    run.wait()
    assert "interrupted" in run.printed()
    assert run.processes() == []
