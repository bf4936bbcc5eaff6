"""What is to be stored before anything else goes with every batch until one of them is durable."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from dynamesis.cluster.core.protocol.events import Persist, Write
from dynamesis.cluster.core.runtime.runtime import Runtime
from dynamesis.cluster.core.storage.buffer import Buffer
from dynamesis.cluster.core.storage.row_keys import Row, object_row
from simulator import idle_runtime

GONE = Write("meta", b"mark", None)
ROW = object_row(3, b"k")  # type: ignore[arg-type]


def _batch(runtime: Runtime) -> Persist:
    (persist,) = (effect for effect in runtime.drain() if isinstance(effect, Persist))
    return persist


def _buffer(runtime: Runtime) -> Buffer[bytes]:
    return Buffer[bytes]("objects", runtime, bytes, lambda key, value: None, 10, 0.1, lambda _: {})


def _immediately(buffer: Buffer[bytes], row: Row) -> None:
    buffer.put(row, b"v", True, lambda code: None)


def _together(buffer: Buffer[bytes], row: Row) -> None:
    buffer.put(row, b"v", False, lambda code: None)
    buffer.flush()


def _through(buffer: Buffer[bytes], row: Row) -> None:
    buffer.write_through(row, b"v", lambda code: None)


@pytest.mark.parametrize("store", [_immediately, _together, _through])
def test_where_it_fails_what_follows_has_it(store: Callable[[Buffer[bytes], Row], None]) -> None:
    runtime = idle_runtime()
    buffer = _buffer(runtime)
    runtime.persist((), lambda reason: None)
    before = _batch(runtime)
    runtime.persist_first((GONE,))
    alone = _batch(runtime)
    assert alone.writes == (GONE,)
    runtime.persisted(before.token)
    runtime.persisted(alone.token, "disk full")
    store(buffer, ROW)
    batch = _batch(runtime)
    assert batch.writes == (Write("objects", ROW, b"v"), GONE), (
        "a batch of before has not stored it"
    )
    runtime.persisted(batch.token)
    store(buffer, ROW)
    assert _batch(runtime).writes == (Write("objects", ROW, b"v"),)
