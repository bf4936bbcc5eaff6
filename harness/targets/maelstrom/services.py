"""The services that programs may use: seq-kv, lin-kv, lww-kv and lin-tso (Maelstrom's
doc/services.md), each a small state machine that answers one request at a time.

lin-kv answers from the latest state. seq-kv keeps the last states: a request that changes nothing
may be answered from any state that its client has not gone past, one that changes something
takes place on the latest; so all operations have one order, in which no client goes back.
lww-kv is several replicas, each with a Lamport clock: a request goes to one of them, and now and
then one takes over what another has, where the later write wins and the other is lost.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any, Protocol

from dynamesis.harness.targets.maelstrom.errors import MALFORMED, MISMATCH, NO_KEY, NOT_SUPPORTED
from dynamesis.harness.targets.maelstrom.messages import Body

#: states that seq-kv keeps
KEPT = 64
#: replicas of lww-kv
REPLICAS = 5

#: Key -> value, keys as JSON text, so that 1 and "1" are two.
Values = Mapping[str, Any]


class Service(Protocol):
    """Answers requests."""

    def answer(self, client: str, body: Body) -> Body:
        """The body of the answer to this one's request, without in_reply_to."""


def error(code: int, text: str) -> Body:
    """The body of an error."""
    return {"type": "error", "code": code, "text": text}


def _absent(key: Any) -> Body:
    return error(NO_KEY, f"key {key!r} does not exist")


def _same(one: Any, other: Any) -> bool:
    """Equality of JSON values, where true is not 1."""
    return type(one) is type(other) and bool(one == other)


def handle(held: Values, body: Body) -> tuple[Body, Any]:
    """The answer to a request, and the value that it writes; `KEEP` where it writes none."""
    kind, key = body.get("type"), body.get("key")
    name = repr(key)
    if kind not in ("read", "write", "cas"):
        return error(NOT_SUPPORTED, f"no request {kind!r}; there are: read, write, cas"), KEEP
    missing = [each for each in _FIELDS[kind] if each not in body]
    if missing:
        return error(MALFORMED, f"{kind} needs the field {missing[0]!r}"), KEEP
    if kind == "write":
        return {"type": "write_ok"}, body["value"]
    if name not in held:
        if kind == "cas" and body.get("create_if_not_exists") is True:
            return {"type": "cas_ok"}, body["to"]
        return _absent(key), KEEP
    if kind == "read":
        return {"type": "read_ok", "value": held[name]}, KEEP
    if not _same(held[name], body["from"]):
        return error(MISMATCH, f"current value {held[name]!r} is not {body['from']!r}"), KEEP
    return {"type": "cas_ok"}, body["to"]


KEEP = object()
_FIELDS = {"read": ("key",), "write": ("key", "value"), "cas": ("key", "from", "to")}


@dataclass
class Linearizable:
    """lin-kv"""

    held: dict[str, Any] = field(default_factory=dict)

    def answer(self, client: str, body: Body) -> Body:
        answer, written = handle(self.held, body)
        if written is not KEEP:
            self.held[repr(body["key"])] = written
        return answer


@dataclass
class Sequential:
    """seq-kv. `first`: the number of the oldest state that is kept; `seen`: by client the number
    of the state that it saw last."""

    random: Random
    states: deque[Values] = field(default_factory=lambda: deque([{}], maxlen=KEPT))
    first: int = 0
    seen: dict[str, int] = field(default_factory=dict)

    def answer(self, client: str, body: Body) -> Body:
        last = self.first + len(self.states) - 1
        at = self.random.randint(max(self.first, self.seen.get(client, 0)), last)
        state = self.states[at - self.first]
        answer, written = handle(state, body)
        if not self._changes(state, body, written):
            self.seen[client] = at
            return answer
        latest = self.states[-1]
        answer, written = handle(latest, body)
        self.seen[client] = last
        if self._changes(latest, body, written):
            self.first += len(self.states) == KEPT
            self.states.append({**latest, repr(body["key"]): written})
            self.seen[client] = last + 1
        return answer

    @staticmethod
    def _changes(state: Values, body: Body, written: Any) -> bool:
        if written is KEEP:
            return False
        name = repr(body["key"])
        return name not in state or not _same(state[name], written)


@dataclass(frozen=True)
class ServiceReplica:
    """`clock`: a Lamport clock; `held`: by key the time of the write, and the value."""

    clock: int = 0
    held: Mapping[str, tuple[int, Any]] = field(default_factory=dict)

    def merged(self, other: ServiceReplica) -> ServiceReplica:
        """With what the other has, where that is later."""
        held = dict(self.held)
        for name, (time, value) in other.held.items():
            if name not in held or time > held[name][0]:
                held[name] = (time, value)
        return ServiceReplica(max(self.clock, other.clock), held)


@dataclass
class LastWrite:
    """lww-kv"""

    random: Random
    replicas: list[ServiceReplica] = field(default_factory=lambda: [ServiceReplica()] * REPLICAS)

    def answer(self, client: str, body: Body) -> Body:
        source, dest, at = (self.random.randrange(REPLICAS) for _ in range(3))
        self.replicas[dest] = self.replicas[dest].merged(self.replicas[source])
        replica = self.replicas[at]
        values = {name: value for name, (_, value) in replica.held.items()}
        answer, written = handle(values, body)
        if written is not KEEP:
            held = {**replica.held, repr(body["key"]): (replica.clock, written)}
            self.replicas[at] = replace(replica, clock=replica.clock + 1, held=held)
        return answer


@dataclass
class Timestamps:
    """lin-tso"""

    next: int = 0

    def answer(self, client: str, body: Body) -> Body:
        if body.get("type") != "ts":
            return error(NOT_SUPPORTED, f"no request {body.get('type')!r}; there is: ts")
        self.next += 1
        return {"type": "ts_ok", "ts": self.next - 1}


def make_services(seed: int) -> dict[str, Service]:
    """The services by name."""
    return {
        "seq-kv": Sequential(Random(f"seq-kv {seed}")),
        "lin-kv": Linearizable(),
        "lww-kv": LastWrite(Random(f"lww-kv {seed}")),
        "lin-tso": Timestamps(),
    }
