"""Group commit on a real loop and thread, over an engine whose commits a test can hold up
or make fail."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from pathlib import Path

from dynamesis.cluster.core.protocol.events import Persist, Persisted, PersistFailed, Write
from dynamesis.cluster.storage import ENGINES
from dynamesis.cluster.storage.base import StorageFailed
from dynamesis.cluster.storage.committer import Committer, Outcome
from dynamesis.cluster.storage.memory import MemoryEngine
from node_world import in_loop, until


class HeldEngine(MemoryEngine):
    """Commits on another thread, each when `gate` opens; refuses groups with the key
    b"bad"."""

    blocking = True

    def __init__(self) -> None:
        super().__init__(Path(), 0)
        self.gate = threading.Semaphore(0)
        self.groups: list[list[bytes]] = []

    def commit(self, writes: Sequence[Write]) -> None:
        self.gate.acquire()
        self.groups.append([write.key for write in writes])
        if any(write.key == b"bad" for write in writes):
            raise StorageFailed("bad key")
        super().commit(writes)


def batch(token: int, *keys: bytes) -> Persist:
    return Persist(token, tuple(Write("objects", key, b"v") for key in keys))


@in_loop
async def test_alone_each_batch_is_stored_and_reported_by_itself() -> None:
    """The first of a burst was acknowledged with the last."""
    engine = HeldEngine()
    outcomes: list[Outcome] = []
    committer = Committer(engine, asyncio.get_running_loop(), outcomes.extend, alone=True)
    for token in (1, 2, 3):
        committer.persist(batch(token, b"%d" % token))
    for done in (1, 2, 3):
        engine.gate.release()
        await until(lambda done=done: len(outcomes) == done, "this one is reported, and no other")
        assert committer.idle == (done == 3)
    assert outcomes == [Persisted(1), Persisted(2), Persisted(3)]
    assert engine.groups == [[b"1"], [b"2"], [b"3"]]
    committer.close()


@in_loop
async def test_what_comes_during_a_commit_goes_into_the_next() -> None:
    engine = HeldEngine()
    outcomes: list[Outcome] = []
    committer = Committer(engine, asyncio.get_running_loop(), outcomes.extend)
    assert committer.idle
    committer.persist(batch(1, b"a", b"b"))
    committer.persist(batch(2, b"c"))
    await asyncio.sleep(0)
    for token in (3, 4, 5):
        committer.persist(batch(token, b"%d" % token))
    assert not committer.idle
    assert outcomes == []
    engine.gate.release()
    await until(lambda: outcomes, "the first group is stored")
    assert outcomes == [Persisted(1), Persisted(2)]
    assert not committer.idle
    engine.gate.release()
    await until(lambda: committer.idle, "all is stored")
    assert outcomes[2:] == [Persisted(3), Persisted(4), Persisted(5)]
    assert engine.groups == [[b"a", b"b", b"c"], [b"3", b"4", b"5"]]
    committer.close()


@in_loop
async def test_a_batch_that_cannot_be_stored_takes_no_other_with_it() -> None:
    engine = HeldEngine()
    outcomes: list[Outcome] = []
    committer = Committer(engine, asyncio.get_running_loop(), outcomes.extend)
    for token, key in ((1, b"a"), (2, b"bad"), (3, b"c")):
        committer.persist(batch(token, key))
    engine.gate.release(4)
    await until(lambda: committer.idle, "all is reported")
    assert outcomes == [Persisted(1), PersistFailed(2, "bad key"), Persisted(3)]
    assert [engine.get("objects", key) for key in (b"a", b"bad", b"c")] == [b"v", None, b"v"]
    committer.close()


@in_loop
async def test_an_engine_that_does_not_block_is_committed_immediately(tmp_path: Path) -> None:
    outcomes: list[Outcome] = []
    threads = threading.active_count()
    engine = ENGINES["memory"](tmp_path, 0)
    committer = Committer(engine, asyncio.get_running_loop(), outcomes.extend)
    committer.persist(batch(1, b"a"))
    assert outcomes == [Persisted(1)]
    assert committer.idle
    assert threading.active_count() == threads


@in_loop
async def test_an_engine_that_breaks_is_not_a_storage_failure(tmp_path: Path) -> None:
    class Broken(HeldEngine):
        def commit(self, writes: Sequence[Write]) -> None:
            raise ZeroDivisionError("a bug in the engine")

    loop = asyncio.get_running_loop()
    seen: list[object] = []
    loop.set_exception_handler(lambda loop, context: seen.append(context["exception"]))
    outcomes: list[Outcome] = []
    committer = Committer(Broken(), loop, outcomes.extend)
    committer.persist(batch(1, b"a"))
    await until(lambda: seen, "the loop is notified")
    assert isinstance(seen[0], ZeroDivisionError)
    assert outcomes == []
    committer.close()
