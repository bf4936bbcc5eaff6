"""A cluster that is offered four times what it can do: `python tests/bench/four_times.py [BYTES]`.

Five nodes in memory, values of so many bytes (100). First one put at a time, then as many in
flight as give the most, then puts at four times that rate, whatever becomes of them (open loop), on
50 connections. Prints rate and latency of what was accepted (since it was due, and since the driver
sent it: the rest is the driver's own delay), how the others ended, and memory.
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import NamedTuple

from dynamesis.cluster.core.protocol.messages import Hello, Key, Message, Put, PutReply, Refusal
from dynamesis.cluster.net.stream import Dialled, dial
from dynamesis.cluster.net.wire import CLIENT_LIMIT, NODE_LIMIT
from dynamesis.cluster.process.cluster_spec import ClusterSpec
from dynamesis.cluster.process.supervisor import unwatched
from dynamesis.harness.processes.ports import reserve

NODES = ("n1", "n2", "n3", "n4", "n5")
CONNECTIONS = 50
SECONDS = 8.0
FACTOR = 4


class Asker(Dialled):
    """One connection; each key of its own has at most one put under way."""

    def __init__(self, number: int, keys: int) -> None:
        super().__init__(Hello("", "dynamesis", role="client"), NODE_LIMIT, CLIENT_LIMIT)
        self.free = [Key(b"%d-%d" % (number, i)) for i in range(keys)]
        self.contexts: dict[Key, bytes] = {}
        #: rid -> key, when the put was due, when it was sent
        self.begun: dict[int, tuple[Key, float, float]] = {}
        #: of what was accepted: s since it was due, and since it was sent
        self.latencies: list[float] = []
        self.since_sent: list[float] = []
        self.outcomes: Counter[str] = Counter()
        self.after = lambda asker: None
        self._name = os.urandom(6).hex()
        self._rid = 0

    def put(self, value: bytes, due: float) -> None:
        """Send one put that was due then; none where all keys are under way."""
        if not self.free:
            self.outcomes["not sent"] += 1
            return
        key = self.free.pop(0)
        self._rid += 1
        self.begun[self._rid] = key, due, time.monotonic()
        request = f"{self._name}.{self._rid}"
        self.send(Put(self._rid, request, key, value, self.contexts.get(key, b"")))

    def on_answer(self, message: Message) -> None:
        key, due, sent = self.begun.pop(message.rid)
        self.free.append(key)
        if isinstance(message, PutReply):
            self.contexts[key] = message.context
            now = time.monotonic()
            self.latencies.append(now - due)
            self.since_sent.append(now - sent)
            self.outcomes["ok"] += 1
        elif isinstance(message, Refusal):
            self.outcomes[message.code] += 1
            if message.code == "forgotten":
                self.contexts.pop(key, None)
        self.after(self)


async def askers(addresses: list[str], size: int) -> list[Asker]:
    found = []
    for number in range(CONNECTIONS):
        asker = Asker(number, max(4, min(400, (32 << 20) // (size * CONNECTIONS))))
        await dial(addresses[number % len(addresses)], asker, 20.0)
        found.append(asker)
    return found


class Outcome(NamedTuple):
    """What became of a load: latencies of what was accepted, in order, and how all ended."""

    latencies: list[float]
    since_sent: list[float]
    ended: Counter[str]


def collect(all_: list[Asker]) -> Outcome:
    latencies = sorted(x for asker in all_ for x in asker.latencies)
    since_sent = sorted(x for asker in all_ for x in asker.since_sent)
    ended = sum((asker.outcomes for asker in all_), Counter())
    for asker in all_:
        asker.latencies, asker.since_sent, asker.outcomes = [], [], Counter()
    return Outcome(latencies, since_sent, ended)


async def closed(all_: list[Asker], in_flight: int, value: bytes, seconds: float) -> None:
    until = time.monotonic() + seconds

    def after(asker: Asker) -> None:
        now = time.monotonic()
        if now < until:
            asker.put(value, now)

    for asker in all_:
        asker.after = after
    for number in range(in_flight):
        all_[number % len(all_)].put(value, time.monotonic())
    await drain(all_, seconds + 30)


async def open_loop(all_: list[Asker], rate: float, value: bytes, seconds: float) -> float:
    """The most s that the driver fell behind."""
    for asker in all_:
        asker.after = lambda asker: None
    began, sent, late = time.monotonic(), 0, 0.0
    while (now := time.monotonic()) < began + seconds:
        late = max(late, now - (began + sent / rate))
        for _ in range(int((now - began) * rate) - sent):
            all_[sent % len(all_)].put(value, began + sent / rate)
            sent += 1
        await asyncio.sleep(0.002)
    await drain(all_, 30)
    return late


async def drain(all_: list[Asker], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while any(asker.begun for asker in all_) and time.monotonic() < deadline:
        await asyncio.sleep(0.01)


def memory(pids: list[int]) -> int:
    """MiB of the node with most."""
    found = 0
    for pid in pids:
        status = Path(f"/proc/{pid}/status").read_text("ascii")
        line = next(line for line in status.splitlines() if line.startswith("RssAnon:"))
        found = max(found, int(line.split()[1]) >> 10)
    return found


def quantile(latencies: list[float], q: float) -> float:
    """In ms, of latencies in order; 0 without any."""
    return 1e3 * latencies[int(q * (len(latencies) - 1))] if latencies else 0.0


def show(what: str, seconds: float, came: Outcome) -> None:
    p50, p99, sent = (
        quantile(came.latencies, 0.5),
        quantile(came.latencies, 0.99),
        quantile(came.since_sent, 0.99),
    )
    rate = len(came.latencies) / seconds
    print(
        f"{what:18}{rate:7.0f}/s  p50 {p50:6.1f} ms  p99 {p99:6.1f} ms ({sent:.1f} since sent)  "
        f"{dict(came.ended)}",
        flush=True,
    )


async def main(size: int) -> None:
    pids: list[int] = []
    with tempfile.TemporaryDirectory() as folder, reserve(10) as ports:
        listen = {node: f"127.0.0.1:{ports.take()}" for node in NODES}
        admin = {node: f"127.0.0.1:{ports.take()}" for node in NODES}
        peers = {node: {n: a for n, a in listen.items() if n != node} for node in NODES}
        cluster = unwatched(ClusterSpec(NODES, Path(folder), listen, admin, peers, engine="memory"))
        cluster._on_spawn = pids.append
        await cluster.start_all()
        try:
            all_ = await askers(list(listen.values()), size)
            value = b"v" * size
            await closed(all_, 10, value, 1.0)
            collect(all_)
            await closed(all_, 1, value, 4.0)
            alone = collect(all_)
            show("one at a time", 4.0, alone)
            peak = 0.0
            for in_flight in (4, 16, 32, 64, 128):
                await closed(all_, in_flight, value, 4.0)
                came = collect(all_)
                show(f"{in_flight} in flight", 4.0, came)
                peak = max(peak, len(came.latencies) / 4.0)
            before = memory(pids)
            late = await open_loop(all_, FACTOR * peak, value, SECONDS)
            came = collect(all_)
            show(f"{FACTOR * peak:.0f}/s offered", SECONDS, came)
            goodput = len(came.latencies) / SECONDS / peak
            times = quantile(came.latencies, 0.99) / quantile(alone.latencies, 0.99)
            print(
                f"goodput {goodput:.0%} of the peak; p99 {times:.1f} times that of one at a time; "
                f"the driver was up to {late:.2f} s late"
            )
            print(f"MiB of the largest node: {before} before, {memory(pids)} after")
        finally:
            await cluster.stop_all()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 100))
