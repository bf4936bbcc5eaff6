"""The thin shell around the core: it carries events in and effects out, and decides
nothing.

Events are handled one at a time, each to its end, on the loop's thread. An exception out
of the core leaves a state that cannot be trusted: the process logs it and ends there
and then (exit code 70), as if it had been killed.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import gc
import os
import signal
import sys
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from itertools import count, repeat
from typing import Any, NoReturn

from dynamesis.cluster.config import tls
from dynamesis.cluster.config.config import Config, ConfigError, split_address
from dynamesis.cluster.core.protocol.events import (
    AdminRequest,
    Answer,
    CancelTimer,
    ClientGone,
    Emit,
    Event,
    Persist,
    Received,
    Reply,
    Send,
    SetTimer,
    Started,
    Stopping,
)
from dynamesis.cluster.core.protocol.messages import Arguments, AskReply, Hello, Message
from dynamesis.cluster.core.protocol.names import name_objection
from dynamesis.cluster.core.protocol.storage_reader import ReadFailed
from dynamesis.cluster.net.agreement import agreed
from dynamesis.cluster.net.inbound import ADMIN, DATA, Inbound
from dynamesis.cluster.net.listener import Listener
from dynamesis.cluster.net.peers import Peers
from dynamesis.cluster.net.ports import taken
from dynamesis.cluster.net.wire import ADMIN_LIMIT, NODE_LIMIT, WireError
from dynamesis.cluster.process import metrics
from dynamesis.cluster.process.core_protocol import MakeCore
from dynamesis.cluster.process.eventlog import EventLog
from dynamesis.cluster.process.interpreter import COLLECT, is_crash, resident_bytes
from dynamesis.cluster.process.memory import LARGE, Memory
from dynamesis.cluster.process.timers import Timers
from dynamesis.cluster.process.wallclock import WallClock
from dynamesis.cluster.storage import belonging, clone_detection
from dynamesis.cluster.storage.base import Engine
from dynamesis.cluster.storage.committer import Committer
from dynamesis.cluster.storage.faulty import FaultyEngine
from dynamesis.cluster.storage.quarantine import open_engine, put_aside

EXIT_CRASHED = 70
_OUT_OF_DESCRIPTORS = (errno.EMFILE, errno.ENFILE)
#: descriptors that connections of administrators leave free: fewer than those of clients do
ADMIN_RESERVED = 8
#: of max_request_bytes, one in so many in progress are a flood
_FLOOD = 8
#: seconds that a graceful stop waits for requests in progress
DRAIN = 3.0


class NodeServer:
    """One node. Made on the loop that runs it."""

    def __init__(self, config: Config, make_core: MakeCore) -> None:
        """Opens the log and the storage. Raises StorageFailed, OtherDisk, OSError."""
        self._config = config
        self._loop = asyncio.get_running_loop()
        self._loop.set_exception_handler(self._on_loop_exception)
        self._now = self._loop.time
        self._clock = WallClock()
        self._log = EventLog(
            config.log,
            config.node,
            self._loop,
            self._clock,
            config.log_size,
            config.log_files,
        )
        self._held = contextlib.ExitStack()
        self._held.callback(self._log.close)
        try:
            self._build(config, make_core)
        except BaseException:
            self._held.close()
            raise

    def _build(self, config: Config, make_core: MakeCore) -> None:
        params = config.core_params()
        engine, damage = open_engine(config.storage.engine, config.data, config.storage.map_size)
        self._held.callback(engine.close)
        belonging.hold_to(engine, config.data, belonging.of(params), config.former_secret or None)
        self._engine: Engine = engine
        self._disk = FaultyEngine(engine) if config.storage.faults else None
        self._engine = self._disk or engine
        if damage is not None:
            self._log.emit("storage-put-aside", reason=damage)
        self._intact = clone_detection.renew(self._engine, config.data)
        alone = params.durability == "each"
        self._memory = Memory(self._loop, params.max_request_bytes // _FLOOD)
        self._events: deque[Event] = deque()
        # what an engine that does not block has stored is known while an event is being handled
        report = self.post_all if self._engine.blocking else self._events.extend
        self._committer = Committer(self._engine, self._loop, report, alone)
        self._held.callback(self._committer.close)
        entropy = int.from_bytes(os.urandom(8), "big")
        self._core = make_core(params, self._engine, entropy)
        self._handling = False
        self._over = False
        timers = Timers(self._loop, self.post)
        self._asked: dict[int, Callable[[Answer], None]] = {}
        self._tokens = count(1)
        self._stop = asyncio.Event()
        self._born = time.monotonic()
        self._do: dict[type, Callable[[Any], None]] = {
            Persist: self._committer.persist,
            SetTimer: timers.set,
            CancelTimer: timers.cancel,
            Answer: lambda effect: self._asked.pop(effect.token)(effect),
            Emit: self._log.carry,
        }
        self._scraped = metrics.MetricsPort(self._metrics, self._log.emit)
        self._network()

    def _network(self) -> None:
        config, emit = self._config, self._log.emit
        hello = Hello(config.node, config.cluster, config=agreed(config.core_params()))
        channels = count(1)
        known = self._known = {config.node: config.listen, **config.peers}
        inbound = outbound = None
        if config.tls is not None:
            inbound, outbound = tls.server_context(config.tls), tls.client_context(config.tls.ca)
        guarded = (config.secret, config.clients_prove, inbound)
        self._data = Listener(
            hello,
            known,
            DATA,
            NODE_LIMIT,
            channels,
            self._received,
            emit,
            *guarded,
            gone=lambda channel: self.post(ClientGone(channel)),
            greeted=lambda peer: self._peers.wake(peer),
        )
        self._admin = Listener(
            hello,
            known,
            ADMIN,
            ADMIN_LIMIT,
            channels,
            self._asked_all,
            emit,
            *guarded,
            gone=_nothing_asked,
            greeted=_not_linked,
            reserved=ADMIN_RESERVED,
        )
        timeout, secret = config.hello_timeout, config.secret
        self._peers = Peers(hello, timeout, self.post, self.post_all, emit, secret, outbound)
        self._do |= {Send: self._peers.carry, Reply: self._data.carry}

    async def run(self) -> None:
        """Live until asked to stop. Raises OSError naming a port that cannot be had."""
        try:
            await self._begin()
        except OSError:
            self._over = True
            self._data.stop()
            self._admin.stop()
            self._scraped.close()
            self._held.close()
            raise
        for peer, peer_address in self._known.items():
            if peer != self._config.node:
                self._peers.add(peer, peer_address)
        self._memory.start()
        gc.freeze()  # what is there now stays: no collection need look at it again
        gc.set_threshold(*COLLECT)
        await self._stop.wait()
        await self._wind_up()

    async def _begin(self) -> None:
        config = self._config
        await taken(self._data.bind(config.listen), config.listen)
        await taken(self._admin.bind(config.admin), config.admin)
        if config.metrics is not None:
            await taken(self._scraped.bind(config.metrics), config.metrics)
        for number in (signal.SIGTERM, signal.SIGINT):
            self._loop.add_signal_handler(number, self._stop.set)
        self._log.emit("start", pid=os.getpid(), engine=config.storage.engine)
        self.post(Started(self._intact))
        await taken(self._data.serve(), config.listen)
        await taken(self._admin.serve(), config.admin)

    # ---- events

    def post(self, event: Event) -> None:
        """Have the core handle `event`, after those before it."""
        if self._handling or self._over:
            self._events.append(event)
        else:
            self.post_all((event,))

    def post_all(self, events: Iterable[Event]) -> None:
        """The same, of events that came together, as of one time."""
        waiting = self._events
        if self._handling or self._over:
            waiting.extend(events)
            return
        self._handling = True
        do, handle = self._do, self._core.handle
        now, wall = self._now(), self._clock.read() // 1_000_000
        try:
            for event in events:
                for effect in handle(now, event, wall):
                    do[type(effect)](effect)
                while waiting:
                    for effect in handle(now, waiting.popleft(), wall):
                        do[type(effect)](effect)
        except Exception as error:
            self._crash(error)
        self._handling = False

    def _received(self, inbound: Inbound, messages: Iterable[Message]) -> None:
        channel, peer, waited = inbound.channel, inbound.peer, self._data.turns.waited
        self.post_all(map(Received, repeat(channel), repeat(peer), messages, repeat(waited)))
        if inbound.decoder.length > LARGE:
            self._memory.in_progress(self._core.value_bytes)

    # ---- administration

    def _asked_all(self, inbound: Inbound, asks: Iterable[Any]) -> None:
        for ask in asks:
            self._ask(inbound, ask)

    def _ask(self, inbound: Inbound, ask: Any) -> None:
        if ask.command == "exchange":
            self._peers.wake_all()  # with a peer out of its reach it compares nothing
        own: Callable[[Any], AskReply] | None = {
            "stop": self._asked_to_stop,
            "introduce": self._introduce,
            "metrics": self._measured,
            "disk": self._inject,
            "clock": self._set_clock,
        }.get(ask.command)
        if own is not None:
            inbound.reply(own(ask))
        else:
            self._ask_core(ask.command, ask.args, lambda answer: self._answer(inbound, ask, answer))

    def _ask_core(self, command: str, args: Arguments, done: Callable[[Answer], None]) -> None:
        token = next(self._tokens)
        self._asked[token] = done
        self.post(AdminRequest(token, command, args))

    def _asked_to_stop(self, ask: Any) -> AskReply:
        self._stop.set()
        return AskReply(ask.rid, {"stopping": True})

    def _introduce(self, ask: Any) -> AskReply:
        """Learn the address of a node that this one was not configured with."""
        node, address = ask.args.get("id"), ask.args.get("address")
        try:
            split_address(str(address))
        except ConfigError as error:
            return AskReply(ask.rid, error=f"introduce: {error}")
        wrong = name_objection(node)
        if wrong or node == self._config.node:
            reason = wrong or f"{node!r} is not another node's id"
            return AskReply(ask.rid, error=f"introduce: {reason}")
        self._known[node] = str(address)
        self._peers.add(node, str(address))
        return AskReply(ask.rid, {"id": node, "address": address})

    def _answer(self, inbound: Inbound, ask: Any, answer: Answer) -> None:
        result = answer.result
        if ask.command == "status" and answer.error is None:
            result = {"ready": True, **result, **self._facts()}
        try:
            inbound.reply(AskReply(ask.rid, result, answer.error))
        except WireError as error:
            inbound.reply(AskReply(ask.rid, error=f"ask for less at a time: {error}"))

    def _inject(self, ask: Any) -> AskReply:
        """Have the disk fail on purpose."""
        if self._disk is None:
            return AskReply(ask.rid, error="disk: faults are off; set storage.faults: true")
        try:
            status = self._disk.inject(**ask.args)
        except (TypeError, ValueError, ReadFailed) as error:
            return AskReply(ask.rid, error=f"disk: {error}")
        self._log.emit("disk-fault", **status)
        return AskReply(ask.rid, status)

    def _set_clock(self, ask: Any) -> AskReply:
        """Have the wall clock be wrong on purpose."""
        if not self._config.clock_faults:
            return AskReply(ask.rid, error="clock: faults are off; set clock_faults: true")
        try:
            self._clock.set(**ask.args)
        except (TypeError, ValueError) as error:
            return AskReply(ask.rid, error=f"clock: {error}")
        status = self._clock.status()
        self._log.emit("clock-fault", **status)
        return AskReply(ask.rid, status)

    def _measured(self, ask: Any) -> AskReply:
        return AskReply(ask.rid, self._metrics().decode())

    def _metrics(self) -> bytes:
        """The figures of the core, in the text format of Prometheus."""
        answers: list[metrics.Figures] = []
        for command in ("status", "figures"):
            self._ask_core(command, {}, lambda answer: answers.append(answer.result))
        return metrics.render(self._config.node, {**answers[0], **self._facts()}, answers[1])

    def _facts(self) -> dict[str, object]:
        """What the core cannot know of its process."""
        return {
            "pid": os.getpid(),
            "rss": resident_bytes(),
            "uptime": round(time.monotonic() - self._born, 3),
            "engine": self._config.storage.engine,
            "put_aside": put_aside(self._config.data),
            "disk": self._disk and self._disk.status(),
            "clock": self._clock.status(),
            "unsent": self._data.unsent,
            "owed": self._data.owed,
            "links": self._peers.status(),
            "objections": self._data.objections,
        }

    # ---- the end

    async def _wind_up(self) -> None:
        """Finish what is in progress, refuse what is new, let go of everything."""
        self._data.stop()
        self._admin.stop()
        self._scraped.close()
        deadline = self._loop.time() + DRAIN
        while (self._data.owed or not self._committer.idle) and self._loop.time() < deadline:
            await asyncio.sleep(0.005)
        for listener in (self._data, self._admin):
            listener.close()
        await self._peers.close()
        if self._committer.idle:
            self.post(Stopping())
        while not self._committer.idle and self._loop.time() < deadline:
            await asyncio.sleep(0.005)
        self._over = True
        self._data.end()
        self._admin.end()
        self._committer.close()
        self._engine.close()
        self._log.emit("stop", owed=self._data.owed)
        self._log.close()

    def _on_loop_exception(
        self, loop: asyncio.AbstractEventLoop, context: Mapping[str, Any]
    ) -> None:
        error = context.get("exception")
        if isinstance(error, OSError) and error.errno in _OUT_OF_DESCRIPTORS:
            # a connection could not be taken; the loop tries again by itself
            self._log.emit("out-of-descriptors", reason=str(error))
            return
        if error is not None and is_crash(error, context):
            self._crash(error)
        self._log.emit("loop-error", message=context["message"], reason=repr(error))

    def _crash(self, error: BaseException) -> NoReturn:
        text = "".join(traceback.format_exception(error))
        with contextlib.suppress(Exception):
            self._log.emit("crash", error=repr(error), traceback=text)
            self._log.flush()
        sys.stderr.write(text)
        sys.stderr.flush()
        os._exit(EXIT_CRASHED)


def _nothing_asked(channel: int) -> None:
    """Do nothing: what came by the admin port is answered before its client ends."""


def _not_linked(peer: str) -> None:
    """Do nothing: nodes link up by the data port."""
