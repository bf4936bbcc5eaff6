"""What ends a command while a loop runs, in a process of its own."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import asyncio, contextlib, os, signal, sys
from dynamesis.cluster.process.interpreter import loop_factory
from dynamesis.harness.processes.signals import end_by_interrupt, ending_the_loop

class Hit(asyncio.Protocol):
    def data_received(self, data):
        os.kill(os.getpid(), signal.SIGTERM)
        for _ in range(1000):
            pass  # a handler runs between two steps

async def main():
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Hit, "127.0.0.1", 0)
    _, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    writer.write(b"now")
    await asyncio.sleep(20)
    print("it was not ended")

end_by_interrupt()
own = signal.getsignal(signal.SIGTERM)
try:
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        async def ended():
            with ending_the_loop():
                await main()
        runner.run(ended())
except KeyboardInterrupt:
    print("ended")
assert signal.getsignal(signal.SIGTERM) is own
"""


def test_a_signal_that_comes_amid_a_callback_of_a_connection_ends_the_loop() -> None:
    # seen: it was taken for an error of that connection, and lost
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=False, timeout=300
    )
    assert (done.stdout, done.returncode) == ("ended\n", 0), done.stderr
