"""The services seq-kv, lin-kv, lww-kv and lin-tso, against what each may and may not do."""

from __future__ import annotations

from typing import Any

import pytest
from dynamesis.harness.targets.maelstrom.errors import MALFORMED, MISMATCH, NO_KEY, NOT_SUPPORTED
from dynamesis.harness.targets.maelstrom.services import KEPT, Service, make_services


def service(name: str, seed: int = 1) -> Service:
    return make_services(seed)[name]


def write(key: Any, value: Any) -> dict[str, Any]:
    return {"type": "write", "key": key, "value": value}


def read(kv: Service, client: str, key: Any = "x") -> Any:
    answer = kv.answer(client, {"type": "read", "key": key})
    return answer["value"] if answer["type"] == "read_ok" else answer["code"]


def cas(before: Any, after: Any, **more: Any) -> dict[str, Any]:
    return {"type": "cas", "key": "x", "from": before, "to": after, **more}


@pytest.mark.parametrize("name", ["lin-kv", "seq-kv"])
def test_one_client_sees_what_it_did(name: str) -> None:
    kv = service(name)
    assert read(kv, "n1") == NO_KEY
    assert kv.answer("n1", cas(1, 2))["code"] == NO_KEY
    assert kv.answer("n1", cas(None, 1, create_if_not_exists=True)) == {"type": "cas_ok"}
    assert kv.answer("n1", cas(7, 8))["code"] == MISMATCH
    assert kv.answer("n1", cas(1, 2)) == {"type": "cas_ok"}
    assert read(kv, "n1") == 2
    assert kv.answer("n1", write(1, "number")) == {"type": "write_ok"}
    assert read(kv, "n1", "1") == NO_KEY
    assert read(kv, "n1", 1) == "number"


def test_requests_that_make_no_sense() -> None:
    kv = service("lin-kv")
    assert kv.answer("n1", {"type": "delete", "key": 1})["code"] == NOT_SUPPORTED
    assert kv.answer("n1", {"type": "write", "key": 1})["code"] == MALFORMED
    assert service("lin-tso").answer("n1", {"type": "read"})["code"] == NOT_SUPPORTED


def test_lin_kv_shows_the_latest() -> None:
    kv = service("lin-kv")
    for value in range(200):
        kv.answer("n1", write("x", value))
        assert read(kv, "n2") == value


def test_seq_kv_shows_the_past_and_never_goes_back() -> None:
    kv = service("seq-kv")
    stale, last = 0, -1
    for value in range(5 * KEPT):
        kv.answer("n1", write("x", value))
        assert read(kv, "n1") == value
        if value % 3 == 0:
            shown = read(kv, "n2")
            shown = -1 if shown == NO_KEY and value == 0 else shown
            assert last <= shown <= value
            stale += shown < value
            last = shown
    assert stale > 20


def test_a_change_of_seq_kv_is_made_on_the_latest_state() -> None:
    """Two clients that add by compare-and-set lose nothing."""
    kv, done = service("seq-kv"), 1000
    kv.answer("n1", write("x", done))
    for turn in range(2000):
        client = f"n{turn % 2 + 1}"
        before = read(kv, client)
        done += kv.answer(client, cas(before, before + 1))["type"] == "cas_ok"
    kv.answer("n1", write("y", 1))
    assert read(kv, "n1") == done > 1100


def test_lww_kv_loses_writes_and_agrees_in_the_end() -> None:
    kv = service("lww-kv")
    lost = 0
    for value in range(200):
        kv.answer("n1", write("x", value))
        lost += read(kv, "n1") != value
    assert lost > 20
    for _ in range(500):
        read(kv, "n2", "other")
    assert len({read(kv, "n2") for _ in range(100)}) == 1


def test_lin_tso_counts() -> None:
    tso = service("lin-tso")
    answers = [tso.answer("n1", {"type": "ts"}) for _ in range(3)]
    assert answers == [{"type": "ts_ok", "ts": ts} for ts in range(3)]
