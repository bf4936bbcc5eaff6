"""The allocator of a node: what was freed stays for a moment, and not for longer."""

from __future__ import annotations

import asyncio
import os
import platform
from pathlib import Path

import pytest
from dynamesis.cluster.process import memory as module
from dynamesis.cluster.process.memory import LARGE, Memory
from node_world import in_loop, until
from test_overload import anonymous_bytes

pytestmark = pytest.mark.skipif(
    platform.libc_ver()[0] != "glibc" or not Path("/proc/self/status").exists(),
    reason="this is about glibc, and memory is read from /proc",
)
MIB = 1 << 20


def mapped(memory: Memory) -> int:
    """How many pieces of memory the kernel gave one by one."""
    return int(memory._libc.mallinfo2().mapped)


@in_loop
async def test_what_is_free_goes_back_after_a_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_LOOK", 0.05)
    memory = Memory(asyncio.get_running_loop(), 8 * MIB)
    try:
        before = anonymous_bytes(os.getpid())
        values = [bytearray(b"v") * (2 * LARGE) for _ in range(200)]
        assert anonymous_bytes(os.getpid()) - before > 40 * MIB
        values.clear()
        assert anonymous_bytes(os.getpid()) - before > 24 * MIB, "the heap keeps it"
        memory.start()
        await until(
            lambda: anonymous_bytes(os.getpid()) - before < 16 * MIB, "it has been given back"
        )
    finally:
        memory.in_progress(9 * MIB)  # as the rest of the tests found it


@in_loop
async def test_values_come_from_the_kernel_while_they_are_many(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "_LOOK", 0.05)
    memory = Memory(asyncio.get_running_loop(), 8 * MIB)
    memory.in_progress(8 * MIB)
    before = mapped(memory)
    few = bytearray(33 * MIB), bytearray(MIB)
    assert mapped(memory) - before == 1, "one megabyte fits into the heap"
    memory.in_progress(8 * MIB + 1)
    before = mapped(memory)
    many = [bytearray(8 * MIB) for _ in range(16)]
    assert mapped(memory) - before >= 12, "the heap has no room for so many"
    memory.start()
    await until(lambda: not memory._flooded, "they have been few for a while")
    memory.in_progress(9 * MIB)
    del few, many
