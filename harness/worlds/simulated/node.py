"""One life of a simulated node: the shell of a core, as cluster.process.server is for a real one.

The core is the same, and so is what the shell does for it: events one at a time, links kept up,
batches committed in groups, a log that loses its last moments, a wall clock that can be wrong, a
stop that finishes what is in progress. Only carrying is simulated.
"""

from __future__ import annotations

import asyncio
import traceback
from collections import deque
from collections.abc import Callable
from itertools import count
from typing import Any

from dynamesis.cluster.config.config import Config
from dynamesis.cluster.core.protocol.events import (
    Answer,
    CancelTimer,
    Emit,
    Event,
    Persist,
    Received,
    Reply,
    Send,
    SetTimer,
    Started,
    Stopping,
    TimerFired,
)
from dynamesis.cluster.core.protocol.messages import (
    ForwardPut,
    Get,
    Hello,
    Message,
    Put,
    Refusal,
    Welcome,
)
from dynamesis.cluster.net.listener import READER_BOUND
from dynamesis.cluster.net.stream import HIGH_WATER
from dynamesis.cluster.process.core_protocol import Core, MakeCore
from dynamesis.cluster.process.server import DRAIN, EXIT_CRASHED
from dynamesis.cluster.process.wallclock import WallClock
from dynamesis.harness.worlds.simulated.administration import Administration
from dynamesis.harness.worlds.simulated.batches import Batches
from dynamesis.harness.worlds.simulated.disk import SimulatedDisk
from dynamesis.harness.worlds.simulated.log import SimulatedLog
from dynamesis.harness.worlds.simulated.loop import VirtualClock, VirtualLoop
from dynamesis.harness.worlds.simulated.network import Network, Wire
from dynamesis.harness.worlds.simulated.peers import SimulatedPeers
from dynamesis.harness.worlds.simulated.shapes import size_of
from dynamesis.harness.worlds.simulated.tweaks import Tweaks

#: s that a process takes from its start until it listens
BOOT = 0.02
#: requests that a node which is shutting down refuses
_NEW_WORK = (Get, Put, ForwardPut)
_LOOK = 0.005


class NodeLife:
    """A node from its start to its end.

    running: neither paused nor dead
    exit_code: None while it lives; minus the signal's number if one ended it
    """

    def __init__(
        self,
        config: Config,
        make_core: MakeCore,
        disk: SimulatedDisk,
        log: SimulatedLog,
        network: Network,
        tweaks: Tweaks,
        roll: Callable[[], float],
        pid: int,
    ) -> None:
        """`roll` draws numbers from 0 to 1."""
        self.name = config.node
        self.loop: VirtualLoop = network.loop
        self.network = network
        self.pid = pid
        self.running = True
        self.exit_code: int | None = None
        #: network.End
        self.process = self
        self.hello = Hello(config.node, config.cluster)
        self.disk = disk
        self.peers = SimulatedPeers(self)
        clock = VirtualClock(self.loop)
        self.clock = WallClock(clock.monotonic_ns, clock.wall_ns)
        self._wall = self.clock.ns
        self._log = log
        self._config = config
        self._known = {config.node, *config.peers}
        self._roll = roll
        self._make_core = make_core
        self._core: Core | None = None
        self._events: deque[Event] = deque()
        self._handling = False
        self._over = False
        self._stopping = False
        self._paused_at: float | None = None
        self._held: list[tuple[Callable[..., None], tuple[Any, ...]]] = []
        self._held_timers: list[tuple[Callable[..., None], tuple[Any, ...]]] = []
        self._timers: dict[str, int] = {}
        self._numbers = count(1)
        self._inbound: dict[int, Wire] = {}
        self.admin = Administration(self, config, self._numbers)
        self._batches = Batches(self, tweaks.fsync, config.core_params().durability == "each")
        self._watchers: list[tuple[Callable[[], bool], asyncio.Future[None]]] = []
        self._do: dict[type, Callable[[Any], None]] = {
            Send: self.peers.carry,
            Reply: self._reply,
            Persist: self._batches.persist,
            SetTimer: self._set_timer,
            CancelTimer: self._cancel_timer,
            Answer: self.admin.answered,
            Emit: self._log_line,
        }
        self.later(BOOT, self._boot)

    @property
    def core(self) -> Any:
        """The node; None before it has booted."""
        return self._core

    @property
    def state(self) -> str:
        """ "running", "paused" or "down"."""
        if self.exit_code is not None:
            return "down"
        return "running" if self.running else "paused"

    # ---- time

    def hold(self, action: Callable[..., None], *args: Any) -> None:
        """Do this now, or once the process continues; not at all if it is dead."""
        if self.running:
            action(*args)
        elif self.exit_code is None:
            self._held.append((action, args))

    def later(self, delay: float, action: Callable[..., None], *args: Any) -> None:
        """Do this `delay` s from now."""
        self.loop.after(delay, self._due, action, args)

    def _due(self, action: Callable[..., None], args: tuple[Any, ...]) -> None:
        if self.running:
            action(*args)
        elif self.exit_code is None:
            self._held_timers.append((action, args))

    # ---- the process

    def _boot(self) -> None:
        intact = self.disk.begin()
        params = self._config.core_params()
        entropy = int(self._roll() * (1 << 53)) << 11 | int(self._roll() * (1 << 11))
        self._core = self._make_core(params, self.disk, entropy)
        self.emit("start", pid=self.pid, engine=self._config.storage.engine)
        self.post(Started(intact))
        if self.running:
            self.network.servers[self.name] = self
            for peer, address in self._config.peers.items():
                if peer != self.name:
                    self.peers.add(peer, address)

    def pause(self) -> None:
        """SIGSTOP."""
        if self.running:
            self.running = False
            self._paused_at = self.loop.now

    def resume(self) -> None:
        """SIGCONT: what came meanwhile is read, then timers go off that are due."""
        if self.state != "paused":
            return
        self.running, self._paused_at = True, None
        held, self._held = self._held, []
        timers, self._held_timers = self._held_timers, []
        for action, args in (*held, *timers):
            self.hold(action, *args)

    def die(self, code: int) -> None:
        """The process is gone, as by SIGKILL: all of its connections end, and what was not
        committed or logged is lost."""
        if self.exit_code is not None:
            return
        self.exit_code, self.running = code, False
        self._log.cut(self._paused_at)
        self._held.clear()
        self._held_timers.clear()
        if self.network.servers.get(self.name) is self:
            del self.network.servers[self.name]
        self.peers.close()
        for line in list(self._inbound.values()):
            line.hang_up(self)
        for _, watcher in self._watchers:
            if not watcher.done():
                watcher.set_result(None)

    async def stop(self) -> None:
        """Finish what is in progress, refuse what is new, let go of everything; then die. As
        cluster.process.server winds up."""
        loop, batches = self.loop, self._batches
        self._stopping = True
        if self.network.servers.get(self.name) is self:
            del self.network.servers[self.name]
        deadline = loop.now + DRAIN
        while (self.owed() or not batches.idle) and loop.now < deadline and self.running:
            await asyncio.sleep(_LOOK)
        if not self.running:
            return
        for line in list(self._inbound.values()):
            line.hang_up(self)
        self._inbound.clear()
        self.peers.close()
        if batches.idle and self._core is not None:
            self.post(Stopping())
        while not batches.idle and loop.now < deadline and self.running:
            await asyncio.sleep(_LOOK)
        if self.running:
            self._over = True
            self.emit("stop", owed=self.owed())
            self._log.flush()
            self.die(0)

    async def until(self, condition: Callable[[], bool], within: float) -> bool:
        """Wait, at most `within` s, until a condition of the node holds, or it is dead. Whether
        it holds."""
        if condition():
            return True
        future: asyncio.Future[None] = self.loop.create_future()
        watcher = (condition, future)
        self._watchers.append(watcher)
        try:
            async with asyncio.timeout(within):
                await future
        except TimeoutError:
            pass
        finally:
            self._watchers.remove(watcher)
        return self.exit_code is None and condition()

    # ---- events

    def post(self, event: Event) -> None:
        """Have the core handle an event, after those before it."""
        events = self._events
        events.append(event)
        if self._handling or self._over or self.exit_code is not None or self._core is None:
            return
        self._handling = True
        loop, handle, do, wall = self.loop, self._core.handle, self._do, self.clock.read
        try:
            while events and self.exit_code is None:
                for effect in handle(loop.now, events.popleft(), wall() // 1_000_000):
                    do[type(effect)](effect)
        except Exception as error:
            self._crash(error)
        self._handling = False
        if self._watchers:
            self._look()

    def _look(self) -> None:
        for condition, watcher in self._watchers:
            if not watcher.done() and condition():
                watcher.set_result(None)

    def _crash(self, error: Exception) -> None:
        text = "".join(traceback.format_exception(error))
        self.emit("crash", error=repr(error), traceback=text)
        self._log.flush()
        self.last_words = text
        self.die(EXIT_CRASHED)

    last_words = ""

    def emit(self, event: str, **fields: Any) -> None:
        """A line of the log."""
        self._log.add(self._wall(), event, fields)

    def _log_line(self, effect: Emit) -> None:
        self._log.add(self._wall(), effect.event, effect.fields)

    def _set_timer(self, effect: SetTimer) -> None:
        number = self._timers[effect.id] = next(self._numbers)
        after = effect.after
        if self.network.perturber.rare:
            after = max(0.0, after + self.network.perturber.on(effect).delay)
        self.loop.after(after, self._fire, effect.id, number)

    def _cancel_timer(self, effect: CancelTimer) -> None:
        self._timers.pop(effect.id, None)

    def _fire(self, timer: str, number: int) -> None:
        if self._timers.get(timer) != number:
            return
        if self.running:
            del self._timers[timer]
            self.post(TimerFired(timer))
        elif self.exit_code is None:
            self._held_timers.append((self._fire, (timer, number)))

    # ---- connections that came in

    def accept(self, line: Wire) -> None:
        """network.Server: greet."""
        if self._stopping or self.exit_code is not None or not line.alive:
            line.drop("closed by the other side")
            return
        line.channel = next(self._numbers)
        line.up.to = self
        self._inbound[line.channel] = line
        line.down.send(self.hello)

    def receive(self, line: Wire, message: Message) -> None:
        """network.End: a request came, or the greeting of a peer."""
        if not line.role:
            self._greet(line, message)
        elif type(message) is Hello:
            self._refuse(line, 0, "bad-request", "Hello is not for this connection")
        elif self._stopping and isinstance(message, _NEW_WORK):
            self._refuse(line, message.rid, "stopping", "this node is shutting down")
        elif line.unsent <= HIGH_WATER:  # a peer that does not read gets no more requests in
            line.owed += 1
            self.post(Received(line.channel, line.peer, message))

    def lost(self, line: Wire, reason: str) -> None:
        """network.End: it has hung up."""
        self._inbound.pop(line.channel, None)

    def _refuse(self, line: Wire, rid: int, code: str, text: str) -> None:
        self.emit("refused", channel=line.channel, peer=line.peer, reason=text)
        line.down.send(Refusal(rid, code, text))

    def _greet(self, line: Wire, hello: Message) -> None:
        if not isinstance(hello, Hello) or (hello.role == "node" and hello.node not in self._known):
            self.emit("bad-frame", channel=line.channel, peer=None, reason="not greeted")
            self._hang_up(line)
            return
        line.role = hello.role
        if hello.role != "node":
            return
        line.peer = hello.node
        for other in list(self._inbound.values()):
            if other is not line and other.peer == hello.node:
                self._hang_up(other)
        line.down.send(Welcome(b""))

    def _hang_up(self, line: Wire) -> None:
        self._inbound.pop(line.channel, None)
        line.hang_up(self)

    def _reply(self, effect: Reply) -> None:
        line = self._inbound.get(effect.channel)
        if line is None:
            return
        line.owed -= 1
        if not line.deaf:
            line.down.send(effect.message)
            return
        line.unsent += size_of(effect.message)
        if line.unsent > READER_BOUND:
            self.emit("slow-reader", channel=line.channel, unsent=line.unsent)
            self._hang_up(line)

    # ---- administration, and for Batches

    def owed(self) -> int:
        """Answers that clients wait for."""
        return sum(line.owed for line in self._inbound.values() if not line.peer)

    def unsent(self) -> int:
        """Bytes of answers that clients have yet to read."""
        return sum(line.unsent for line in self._inbound.values())

    def introduce(self, peer: str, address: str) -> None:
        """Know a peer, and dial it."""
        self._known.add(peer)
        self.peers.add(peer, address)

    def linked(self) -> bool:
        """Whether all links are up."""
        return self.peers.all_up()

    @property
    def blocking(self) -> bool:
        """Whether a commit takes time."""
        return self.disk.durable or self._config.storage.faults

    def roll(self) -> float:
        return self._roll()
