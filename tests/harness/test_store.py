"""Folders of results: unique, never half written, with links that are always whole."""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest
from dynamesis.harness.results.results import RESULTS, TEST, DamagedFolder, Folder, create, runs

WHEN = datetime(2026, 11, 23, 15, 40, 2, 123456, tzinfo=UTC)


def test_a_folder_is_named_by_test_and_time(tmp_path: Path) -> None:
    folder = create(tmp_path, "cart-cut", WHEN)
    assert folder.path == tmp_path / "cart-cut" / "20261123T154002.123Z"
    assert folder.path.is_dir()


def test_two_tests_of_one_millisecond_get_two_folders(tmp_path: Path) -> None:
    assert create(tmp_path, "cart-cut", WHEN).path != create(tmp_path, "cart-cut", WHEN).path


def test_latest_follows_the_newest(tmp_path: Path) -> None:
    create(tmp_path, "cart-cut", WHEN)
    second = create(tmp_path, "register-kill", WHEN)
    third = create(tmp_path, "cart-cut", WHEN)
    assert (tmp_path / "latest").resolve() == third.path.resolve()
    assert (tmp_path / "cart-cut" / "latest").resolve() == third.path.resolve()
    assert (tmp_path / "register-kill" / "latest").resolve() == second.path.resolve()


def test_latest_is_never_missing_while_many_begin(tmp_path: Path) -> None:
    create(tmp_path, "t")
    done = threading.Event()
    missing = []

    def look() -> None:
        while not done.is_set():
            if not (tmp_path / "latest").is_dir():
                missing.append(1)

    looking = threading.Thread(target=look)
    looking.start()
    for _ in range(200):
        create(tmp_path, "t")
    done.set()
    looking.join()
    assert missing == []


def test_a_file_is_saved_whole(tmp_path: Path) -> None:
    folder = create(tmp_path, "t")
    folder.save_json(TEST, {"seed": 7})
    assert folder.load_json(TEST) == {"seed": 7}
    assert [path.name for path in folder.path.iterdir()] == [TEST]


def test_a_file_that_is_not_there_is_empty(tmp_path: Path) -> None:
    assert create(tmp_path, "t").load_json(RESULTS) == {}


def test_a_damaged_file_is_named_or_passed_over(tmp_path: Path) -> None:
    (tmp_path / "test.json").write_text('{"name": ')
    with pytest.raises(DamagedFolder, match=r"test\.json: expected JSON: .*line 1"):
        Folder(tmp_path).load_json("test.json")
    assert Folder(tmp_path).peek_json("test.json") == {}


def test_runs_are_listed_oldest_first_and_once(tmp_path: Path) -> None:
    folders = [create(tmp_path, name, WHEN.replace(second=s)) for s, name in enumerate("bab")]
    for folder in folders:
        folder.save_json(TEST, {})
    assert [folder.path for folder in runs(tmp_path)] == [folder.path for folder in folders]
