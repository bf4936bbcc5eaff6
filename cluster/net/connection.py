"""One connection of a client to one node, and what its answers are."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from typing import Literal, Protocol, TypeVar

from dynamesis.cluster.core.protocol.messages import (
    Answer,
    Get,
    GetReply,
    Hello,
    Key,
    Locate,
    LocateReply,
    Message,
    Put,
    PutReply,
    Question,
    QuorumInfo,
    Refusal,
    RequestOptions,
    Version,
    Welcome,
)
from dynamesis.cluster.net.exceptions import failure
from dynamesis.cluster.net.stream import DialFailed, Dialled, dial
from dynamesis.cluster.net.wire import CLIENT_LIMIT, NODE_LIMIT, WireError

T = TypeVar("T")
_DEFAULTS = RequestOptions()


@dataclass(frozen=True, slots=True)
class GetResult:
    """`siblings`: every current version, tombstones included. `context`: hand it back
    with the put that replaces them. `worth`: which nodes the answer rests on. `node`: which
    was asked. `arrived`: when the answer was read from the socket, ns of time.monotonic_ns(); 0
    where there is no socket."""

    siblings: tuple[Version, ...]
    context: bytes
    worth: QuorumInfo
    node: str
    arrived: int = field(default=0, compare=False, repr=False)

    @property
    def values(self) -> tuple[bytes, ...]:
        """The siblings that are not deletions."""
        return tuple(version.value for version in self.siblings if not version.deleted)


@dataclass(frozen=True, slots=True)
class PutResult:
    """`context` covers the version just written and what the put replaced. `siblings` only
    with the option return_body. `arrived`: as in GetResult."""

    context: bytes
    worth: QuorumInfo
    node: str
    siblings: tuple[Version, ...] = ()
    arrived: int = field(default=0, compare=False, repr=False)


class Conversation(Protocol):
    """What a Connection speaks through."""

    waiting: dict[int, asyncio.Future[Message]]
    #: rid -> when its answer was read from the socket, ns, until that is taken
    arrived: dict[int, int]

    @property
    def closing(self) -> bool:
        """Whether nothing more can be sent."""

    def send(self, message: Message) -> None:
        """Raises WireError for a message that is too large."""

    def close(self, reason: str) -> None:
        """What waits ends in a ConnectionError with this reason."""


class _Conversation(Dialled):
    """Answers find their questions by rid, in whatever order they come."""

    def __init__(self, mine: Hello, limit: int, secret: str | None) -> None:
        super().__init__(mine, limit, CLIENT_LIMIT, secret)
        self.waiting: dict[int, asyncio.Future[Message]] = {}
        self.arrived: dict[int, int] = {}
        self.refusal = ""

    def on_answer(self, message: Message) -> None:
        if isinstance(message, Refusal) and message.rid == 0:
            self.refusal = message.message  # the node is about to hang up
        elif isinstance(message, Hello | Welcome):
            self.fault(f"{type(message).__name__} came twice")
        elif (future := self.waiting.pop(message.rid, None)) is not None and not future.done():
            self.arrived[message.rid] = time.monotonic_ns()
            future.set_result(message)

    def on_close(self, reason: str) -> None:
        super().on_close(reason)
        for future in self.waiting.values():
            if not future.done():
                future.set_exception(ConnectionError(self.refusal or reason))


class Connection:
    """One connection to one node; any number of questions may be under way on it."""

    def __init__(self, conversation: Conversation, node: str) -> None:
        self.node = node
        self._conversation = conversation
        self._rids = count(1)

    @classmethod
    async def open(
        cls,
        address: str,
        cluster: str = "dynamesis",
        timeout: float = 1.0,
        limit: int = NODE_LIMIT,
        role: Literal["client", "admin"] = "client",
        secret: str | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> Connection:
        """Connect, and wait for HELLO, `timeout` seconds in all. `cluster` "" takes any;
        `limit`: largest answer, bytes; `secret`: prove that it is known. Raises Unreachable:
        nothing was sent."""
        conversation = _Conversation(Hello("", cluster, role=role), limit, secret)
        try:
            theirs = await dial(address, conversation, timeout, tls)
        except DialFailed as error:
            raise failure("unreachable", str(error), address) from error
        return cls(conversation, theirs.node)

    @property
    def closed(self) -> bool:
        return self._conversation.closing

    async def ask(self, question: Callable[[int], Question], timeout: float) -> Answer:
        """The answer to question(rid), within `timeout` seconds. Raises DynamoError."""
        return (await self._ask(question, timeout))[0]

    async def _ask(self, question: Callable[[int], Question], timeout: float) -> tuple[Answer, int]:
        """The same, with when it arrived (0: not known)."""
        rid, loop = next(self._rids), asyncio.get_running_loop()
        future: asyncio.Future[Message] = loop.create_future()
        if self.closed:
            raise failure("unreachable", "the connection was closed", self.node)
        asked = question(rid)
        # asyncio.timeout does the same in more steps, which every request would pay for
        timer = loop.call_later(timeout, _time_is_up, future)
        try:
            self._conversation.send(asked)
            self._conversation.waiting[rid] = future
            answer = await future
        except WireError as error:
            raise failure(_too_large(asked), str(error), self.node) from error
        except TimeoutError:
            raise failure("timeout", f"no answer within {timeout:g} s", self.node) from None
        except ConnectionError as error:
            raise failure("disconnected", str(error), self.node) from error
        finally:
            timer.cancel()
            self._conversation.waiting.pop(rid, None)
            arrived = self._conversation.arrived.pop(rid, 0)
        if isinstance(answer, Refusal):
            refused = failure(answer.code, answer.message, self.node, answer.retry_after)
            refused.arrived = arrived
            raise refused
        return answer, arrived  # type: ignore[return-value]

    async def get(
        self, key: bytes, options: RequestOptions = _DEFAULTS, timeout: float = 5.0
    ) -> GetResult:
        """Every current version of `key`. Raises DynamoError."""
        answer, arrived = await self._ask(lambda rid: Get(rid, Key(key), options), timeout)
        reply = _as(GetReply, answer)
        return GetResult(reply.siblings, reply.context, reply.worth, self.node, arrived)

    async def put(
        self,
        key: bytes,
        value: bytes,
        context: bytes = b"",
        *,
        request: str,
        deleted: bool = False,
        options: RequestOptions = _DEFAULTS,
        timeout: float = 5.0,
        again: bool = False,
    ) -> PutResult:
        """Write a version. `request` identifies this write: the same write sent again
        carries the same, and `again` if an earlier try may have had an effect. Raises
        DynamoError."""
        answer, arrived = await self._ask(
            lambda rid: Put(rid, request, Key(key), value, context, deleted, options, again),
            timeout,
        )
        reply = _as(PutReply, answer)
        return PutResult(reply.context, reply.worth, self.node, reply.siblings, arrived)

    async def locate(self, timeout: float = 5.0) -> tuple[tuple[str, ...], ...]:
        """The primaries of each partition, as this node sees it. Raises DynamoError."""
        return _as(LocateReply, await self.ask(Locate, timeout)).primaries

    def close(self) -> None:
        """What is under way ends as "disconnected"."""
        self._conversation.close("closed by this client")


def _time_is_up(answer: asyncio.Future[Message]) -> None:
    """No answer has come in time."""
    if not answer.done():
        answer.set_exception(TimeoutError())


def _too_large(question: Question) -> str:
    """What of a question that no frame takes is to blame."""
    parts = {"value-too-large": "value", "key-too-large": "key", "bad-context": "context"}
    return max(parts, key=lambda code: len(getattr(question, parts[code], b"")))


class Connect(Protocol):
    """Opens connections, as Connection.open does."""

    async def __call__(
        self,
        address: str,
        cluster: str = ...,
        timeout: float = ...,
        *,
        secret: str | None = ...,
        tls: ssl.SSLContext | None = ...,
    ) -> Connection:
        """Raises Unreachable."""


def _as(kind: type[T], answer: Answer) -> T:
    if not isinstance(answer, kind):
        raise failure("disconnected", f"{type(answer).__name__} is not a {kind.__name__}")
    return answer
