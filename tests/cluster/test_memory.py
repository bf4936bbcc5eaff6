"""The allocator of a node: what was freed stays for a moment, and not for longer. Each test has a
process of its own, whose heap no other has used."""

from __future__ import annotations

import platform
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(
    platform.libc_ver()[0] != "glibc" or not Path("/proc/self/status").exists(),
    reason="this is about glibc, and memory is read from /proc",
)

_COMMON = """
import asyncio
from dynamesis.cluster.process import memory as module
from dynamesis.cluster.process.memory import LARGE, Memory
MIB = 1 << 20
module._LOOK = 0.05

def anonymous():
    lines = open("/proc/self/status", encoding="ascii")
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("RssAnon:"))

async def until(condition):
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.01)
"""

_GIVEN_BACK = """
async def main():
    memory = Memory(asyncio.get_running_loop(), 8 * MIB)
    before = anonymous()
    values = [bytearray(b"v") * (2 * LARGE) for _ in range(200)]
    assert anonymous() - before > 40 * MIB
    values.clear()
    assert anonymous() - before > 24 * MIB, "the heap keeps it"
    memory.start()
    await until(lambda: anonymous() - before < 16 * MIB)

asyncio.run(main())
"""

_MANY = """
async def main():
    memory = Memory(asyncio.get_running_loop(), 8 * MIB)
    mapped = lambda: memory._libc.mallinfo2().mapped
    memory.in_progress(8 * MIB)
    before = mapped()
    few = [bytearray(MIB) for _ in range(4)]
    assert mapped() == before, "they come from the heap"
    memory.in_progress(8 * MIB + 1)
    many = [bytearray(8 * MIB) for _ in range(16)]
    assert mapped() - before >= 12, "the heap has no room for so many"
    memory.start()
    await until(lambda: not memory._flooded)

asyncio.run(main())
"""


@pytest.mark.parametrize("script", [_GIVEN_BACK, _MANY], ids=["given back", "many"])
def test_large_values_come_and_go(script: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _COMMON + script],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        check=False,
    )
    assert not done.returncode, done.stdout
