"""A client on a library that never comes back costs its operations, and not the end of the
program: the threads of an executor would be waited for."""

from __future__ import annotations

import asyncio
import subprocess
import sys

from dynamesis.targets import BlockingClient, Op, ok

PROGRAM = """
import asyncio, time
from dynamesis.targets import BlockingClient, Op

class Stuck(BlockingClient):
    def perform(self, op):
        time.sleep(1000)

async def main():
    try:
        async with asyncio.timeout(0.2):
            await Stuck().invoke(Op(f="read"))
    except TimeoutError:
        print("timed out")

asyncio.run(main())
"""


def test_a_call_that_never_returns_does_not_keep_the_program() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=60
    )
    assert done.stdout == "timed out\n", done.stderr
    assert done.returncode == 0


def test_its_methods_run_in_one_thread_in_order() -> None:
    import threading

    seen: list[tuple[str, int]] = []

    class Own(BlockingClient):
        def note(self, what: str) -> None:
            seen.append((what, threading.get_ident()))

        def connect(self, addresses: object) -> None:
            self.note("connect")

        def perform(self, op: Op) -> Op:
            self.note("perform")
            return ok(op, 7)

        def disconnect(self) -> None:
            self.note("disconnect")
            raise ValueError("was closed already")

    async def main() -> None:
        client = Own()
        await client.open({})
        assert (await client.invoke(Op(f="read"))).value == 7
        try:
            await client.close()
        except ValueError as failure:
            seen.append((str(failure), seen[0][1]))

    asyncio.run(main())
    assert [what for what, _ in seen] == ["connect", "perform", "disconnect", "was closed already"]
    assert len({thread for _, thread in seen}) == 1
    assert seen[0][1] != threading.get_ident()
