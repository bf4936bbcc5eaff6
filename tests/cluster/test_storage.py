from __future__ import annotations

import itertools
import random
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from dynamesis.cluster.core.protocol.events import Table, Write
from dynamesis.cluster.storage import ENGINES
from dynamesis.cluster.storage.base import Corrupt, Engine, StorageFailed, seal, unseal
from dynamesis.cluster.storage.lmdb import LmdbEngine
from dynamesis.cluster.storage.quarantine import open_engine, put_aside
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.examples import examples

MAP = 1 << 24
Open = Callable[[], Engine]


@pytest.fixture(params=sorted(ENGINES))
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    engine = ENGINES[request.param](tmp_path / "data", MAP)
    yield engine
    engine.close()


def put(key: bytes, value: bytes | None, table: Table = "objects") -> Write:
    return Write(table, key, value)


def test_what_was_committed_is_read(opened: Engine) -> None:
    opened.commit([put(b"a", b"1"), put(b"b", b""), put(b"a", b"2", "hints")])
    assert opened.get("objects", b"a") == b"1"
    assert opened.get("objects", b"b") == b""
    assert opened.get("hints", b"a") == b"2"
    assert opened.get("meta", b"a") is None
    assert opened.get("objects", b"c") is None


def test_the_last_write_to_a_key_in_a_group_wins(opened: Engine) -> None:
    opened.commit([put(b"a", b"1"), put(b"b", b"1"), put(b"a", None), put(b"b", b"2")])
    assert list(opened.scan("objects")) == [(b"b", b"2")]


def test_deleting_what_is_not_there_is_no_error(opened: Engine) -> None:
    opened.commit([put(b"a", None)])
    opened.commit([])
    assert list(opened.scan("objects")) == []


def test_a_scan_continues_while_rows_come_and_go(opened: Engine) -> None:
    opened.commit([put(b"%04d" % n, b"x") for n in range(1000)])
    scan = opened.scan("objects")
    first = [next(scan)[0] for _ in range(10)]
    opened.commit([put(b"%04d" % n, None) for n in range(0, 1000, 2)] + [put(b"5", b"new")])
    rest = [key for key, _ in scan]
    assert first == [b"%04d" % n for n in range(10)]
    assert rest == sorted(rest)
    assert {b"%04d" % n for n in range(11, 1000, 2)} <= set(rest)
    assert rest[-1] == b"5"


def test_keys_as_long_as_a_hint_of_the_longest_key(opened: Engine) -> None:
    key = b"n" * 64 + b"\0" + b"k" * 1024
    opened.commit([put(key, b"v", "hints"), put(key + b"2", b"w", "hints")])
    assert opened.get("hints", key) == b"v"
    assert list(opened.scan("hints", key)) == [(key, b"v"), (key + b"2", b"w")]


KEYS = st.binary(min_size=1, max_size=3)
GROUPS = st.lists(
    st.lists(st.tuples(KEYS, st.none() | st.binary(max_size=4)), max_size=6), max_size=8
)


@pytest.mark.parametrize("name", sorted(ENGINES))
@settings(max_examples=examples(20), deadline=None)
@given(groups=GROUPS, prefix=st.binary(max_size=2), after=st.none() | st.binary(max_size=3))
def test_it_is_a_sorted_map(
    tmp_path_factory: pytest.TempPathFactory,
    name: str,
    groups: list[list[tuple[bytes, bytes | None]]],
    prefix: bytes,
    after: bytes | None,
) -> None:
    engine = ENGINES[name](tmp_path_factory.mktemp("data"), MAP)
    model: dict[bytes, bytes] = {}
    for group in groups:
        engine.commit([put(key, value) for key, value in group])
        for key, value in group:
            if value is None:
                model.pop(key, None)
            else:
                model[key] = value
    expected = [
        (key, model[key])
        for key in sorted(model)
        if key.startswith(prefix) and (after is None or key > after)
    ]
    assert list(engine.scan("objects", prefix, after)) == expected
    assert all(engine.get("objects", key) == value for key, value in model.items())
    engine.close()


@settings(deadline=None)
@given(st.binary(max_size=20), st.binary(min_size=1, max_size=20), st.data())
def test_every_flipped_bit_is_seen(key: bytes, value: bytes, data: st.DataObject) -> None:
    row = bytearray(seal("objects", key, value))
    bit = data.draw(st.integers(0, 8 * len(row) - 1))
    row[bit // 8] ^= 1 << bit % 8
    with pytest.raises(Corrupt):
        unseal("objects", key, bytes(row))


def test_a_row_under_another_key_is_seen() -> None:
    row = seal("objects", b"a", b"1")
    assert unseal("objects", b"a", row) == b"1"
    for table, key in (("objects", b"b"), ("hints", b"a")):
        with pytest.raises(Corrupt):
            unseal(table, key, row)  # type: ignore[arg-type]


# ---- the durable engine


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "data"


def test_a_bit_flipped_on_the_disk_hits_one_row_only(folder: Path) -> None:
    engine = LmdbEngine(folder, MAP)
    engine.commit([put(b"%d" % n, b"value-%d-" % n + bytes(100)) for n in range(10)])
    engine.close()
    file = folder / "data.mdb"
    data = bytearray(file.read_bytes())
    at = data.index(b"value-7-")
    data[at] ^= 1
    file.write_bytes(data)
    engine = LmdbEngine(folder, MAP)
    with pytest.raises(Corrupt) as caught:
        engine.get("objects", b"7")
    assert (caught.value.table, caught.value.key) == ("objects", b"7")
    assert engine.get("objects", b"6") == b"value-6-" + bytes(100)
    scan = engine.scan("objects")
    assert [next(scan)[0] for _ in range(7)] == [b"%d" % n for n in range(7)]
    with pytest.raises(Corrupt):
        next(scan)
    assert [key for key, _ in engine.scan("objects", after=b"7")] == [b"8", b"9"]
    engine.close()


@pytest.mark.parametrize("damage", ["half of it is gone", "rubbish"])
def test_a_file_that_is_not_a_database_is_refused(folder: Path, damage: str) -> None:
    engine = LmdbEngine(folder, MAP)
    engine.commit([put(b"%d" % n, bytes(1000)) for n in range(100)])
    engine.close()
    file = folder / "data.mdb"
    data = file.read_bytes()
    file.write_bytes(b"rubbish" * 10_000 if damage == "rubbish" else data[: len(data) // 2])
    with pytest.raises(StorageFailed, match="cannot open the database"):
        LmdbEngine(folder, MAP)
    file.write_bytes(data)
    LmdbEngine(folder, MAP).close()


def test_a_mark_of_a_clean_stop_that_is_rubbish_is_none(folder: Path) -> None:
    engine = LmdbEngine(folder, MAP)
    engine.commit([put(b"a", b"1")])
    engine.close()
    (folder / "clean").write_bytes(b"\xff\xfe")
    engine = LmdbEngine(folder, MAP)
    assert engine.get("objects", b"a") == b"1"
    engine.close()


def test_what_was_put_aside_is_never_overwritten(folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    (folder / "data.mdb.damaged-2").write_bytes(b"kept")
    for _ in range(2):
        (folder / "data.mdb").write_bytes(b"rubbish" * 1000)
        engine, why = open_engine("lmdb", folder, MAP)
        engine.close()
        assert why is not None
    assert put_aside(folder) == [f"data.mdb.damaged-{n}" for n in (1, 2, 3)]
    assert (folder / "data.mdb.damaged-2").read_bytes() == b"kept"


def test_two_processes_never_share_a_database(folder: Path) -> None:
    engine = LmdbEngine(folder, MAP)
    with pytest.raises(StorageFailed, match="in use by another process"):
        LmdbEngine(folder, MAP)
    engine.close()
    LmdbEngine(folder, MAP).close()


def test_it_grows_beyond_its_first_map(folder: Path) -> None:
    engine = LmdbEngine(folder, 1 << 20)
    engine.commit([put(b"first", b"1")])
    scan = engine.scan("objects")
    engine.commit([put(b"%d" % n, bytes(1 << 20)) for n in range(20)])
    engine.commit([put(b"last", b"1")])
    assert sum(len(value) for _, value in scan) == (20 << 20) + 2
    engine.close()
    engine = LmdbEngine(folder, 1 << 20)
    assert engine.get("objects", b"19") == bytes(1 << 20)
    engine.close()


def test_a_group_with_an_impossible_key_changes_nothing(folder: Path) -> None:
    engine = LmdbEngine(folder, MAP)
    for key in (b"", bytes(5000)):
        with pytest.raises(StorageFailed, match="2 rows were not stored"):
            engine.commit([put(b"a", b"1"), put(key, b"1")])
        assert engine.get("objects", key) is None
    assert list(engine.scan("objects")) == []
    engine.close()


WRITER = """
import sys
from pathlib import Path
from dynamesis.cluster.core.protocol.events import Write
from dynamesis.cluster.storage.lmdb import LmdbEngine
from dynamesis.cluster.storage.quarantine import open_engine, put_aside

engine = LmdbEngine(Path(sys.argv[1]), 1 << 20)
start = int(sys.argv[2])
for group in range(start, start + 100_000):
    value = b"%d" % group * 300
    engine.commit([Write("objects", b"%d-%d" % (group, n), value) for n in range(3)]
                  + [Write("meta", b"group", b"%d" % group)])
    sys.stdout.write(f"{group}\\n")
    sys.stdout.flush()
"""


def test_every_commit_that_returned_survives_a_kill_at_any_moment(folder: Path) -> None:
    draw = random.Random(7)
    returned = -1
    for _ in range(12):
        returned = _write_until_killed(folder, returned + 1, 1 + draw.randrange(60))
        engine = LmdbEngine(folder, 1 << 20)
        last = int(engine.get("meta", b"group") or b"-1")
        assert last in (returned, returned + 1), "a commit is lost, or one was made up"
        for group, n in itertools.product(range(last + 1), range(3)):
            assert engine.get("objects", b"%d-%d" % (group, n)) == b"%d" % group * 300
        assert len(list(engine.scan("objects"))) == 3 * (last + 1), "half a group"
        engine.close()
        returned = last


def _write_until_killed(folder: Path, start: int, groups: int) -> int:
    """The last group whose commit is known to have returned."""
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(folder), str(start)], stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    for _ in range(groups):
        assert process.stdout.readline()
    process.send_signal(signal.SIGKILL)
    rest = process.stdout.read()  # what was written before the kill was also returned
    process.wait()
    process.stdout.close()
    complete = rest[: rest.rfind(b"\n") + 1].split()
    return int(complete[-1]) if complete else start + groups - 1
