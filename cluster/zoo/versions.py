"""Bugs of versions: stamps, clocks, merges, contexts, and puts that are coordinated twice."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
from dynamesis.cluster.core.node.node import Node
from dynamesis.cluster.core.node.parts import Parts
from dynamesis.cluster.core.protocol.events import Write
from dynamesis.cluster.core.protocol.messages import Entry, Key, PutReply, Refusal, State, Version
from dynamesis.cluster.core.requests.get import GetRequest
from dynamesis.cluster.core.requests.put import PutRequest
from dynamesis.cluster.core.runtime.request_dedup import RequestDedup
from dynamesis.cluster.core.storage.record_table import RecordTable
from dynamesis.cluster.core.versions import clock
from dynamesis.cluster.core.versions.context import Contexts
from dynamesis.cluster.core.versions.identity import Identity

_PAIRS = 10


# ---- stamping


class _ContextPlusOne(RecordTable):
    def apply(
        self, context: State, version: Version, state: State, actor: str, event: int
    ) -> State:
        known = context.get(actor, Entry(0))
        return super().apply(context, version, state, actor, known.n + 1)


class CtxOnlyIncrement(Node):
    """Two blind puts at one node get one dot: the later replaces the earlier."""

    parts = Parts(objects=_ContextPlusOne, hint_records=_ContextPlusOne)


class _OneClock(RecordTable):
    def apply(
        self, context: State, version: Version, state: State, actor: str, event: int
    ) -> State:
        if all(clock.covers(context, state, known) for known in state):
            return super().apply(context, version, state, actor, event)
        return _keep(super().apply({}, version, state, actor, event), context)


class MergedClockSiblings(Node):
    """Without a dot of its own a sibling cannot be distinguished from the others: a write whose
    context is behind any of them keeps all."""

    parts = Parts(objects=_OneClock, hint_records=_OneClock)


def _keep(state: State, context: State) -> State:
    """`state` with all its versions, knowing also what `context` does."""
    known = clock.sync(clock.seen(state), clock.seen(context))
    return {
        actor: Entry(entry.n, state[actor].values if actor in state else (), entry.extra)
        for actor, entry in known.items()
    }


class _OneName(Identity):
    @property
    def name(self) -> str:
        return f"{self.node}:0:1"

    def new_actor(self) -> str | None:
        return self.name

    def usable(self, actor: str) -> bool:
        return actor == self.name


class Amnesia(Node):
    """A node has one name for all its versions: after a wipe it uses it from 1 on again."""

    parts = Parts(identity=_OneName)


class _EverybodysName(_OneName):
    @property
    def name(self) -> str:
        return "v:0:1"


class EqualActors(Node):
    """All nodes stamp as one actor."""

    parts = Parts(identity=_EverybodysName)


class _Unleased(Identity):
    def renew(self, then: Callable[[], None]) -> None:
        stored = msgspec.msgpack.encode(self.row)
        self.row.leased += 1024
        self.runtime.persist((Write("meta", b"identity", stored),), lambda reason: None)
        then()


class LazyEpoch(Node):
    """Epochs are used as soon as they are leased: the disk still has the old lease."""

    parts = Parts(identity=_Unleased)


# ---- pruning


def _prune(state: State) -> State:
    """Without the actors, beyond ten, that have stamped least."""
    kept = sorted(state, key=lambda actor: (-state[actor].n, actor))[:_PAIRS]
    return {actor: entry for actor, entry in state.items() if actor in kept or entry.values}


class _PrunedOnPut(RecordTable):
    def apply(
        self, context: State, version: Version, state: State, actor: str, event: int
    ) -> State:
        return _prune(super().apply(context, version, state, actor, event))


class PruneClock(Node):
    """A put forgets the oldest of more than ten actors, and with them what they superseded."""

    parts = Parts(objects=_PrunedOnPut, hint_records=_PrunedOnPut)


class _PrunedOnRepair(RecordTable):
    def combine(self, ours: State, incoming: State, why: str) -> State:
        merged = super().combine(ours, incoming, why)
        return _prune(merged) if why == "read-repair" else merged


class PruneInRepair(Node):
    """Read repair prunes what it writes, so that replicas never come to agree."""

    parts = Parts(objects=_PrunedOnRepair)


# ---- merging


class _SelfMerging(RecordTable):
    def combine(self, ours: State, incoming: State, why: str) -> State:
        merged = clock.sync(ours, incoming)
        if ours == incoming:
            return merged
        return {
            actor: Entry(
                entry.n,
                tuple(pair for pair in entry.values if not _both(ours, incoming, actor, pair[0])),
                entry.extra,
            )
            for actor, entry in merged.items()
        }


class SelfMerge(Node):
    """A version that both sides hold is taken for one that the other has superseded."""

    parts = Parts(objects=_SelfMerging)


def _both(a: State, b: State, actor: str, event: int) -> bool:
    return all(actor in s and event in dict(s[actor].values) for s in (a, b))


# ---- contexts


class _FirstAnswer(GetRequest):
    first: State | None = None

    def merge(self, shown: State, state: State) -> State:
        if self.first is None:
            self.first = state
        return super().merge(shown, state)

    def context(self) -> bytes:
        return self.services.contexts.token(self.get.key, clock.context_of(self.first or {}))


class CtxUnderclaims(Node):
    """The context covers what the first replica showed, not what the client was shown."""

    parts = Parts(get_request=_FirstAnswer)


class _Unbound(Contexts):
    def mac(self, key: Key, body: bytes) -> bytes:
        return bytes(16)


class ForeignContext(Node):
    """A context that was handed out for one key is taken for another."""

    parts = Parts(contexts=_Unbound)


# ---- coordinating twice


class _TriedElsewhere(PutRequest):
    def forward_in_doubt(self, rest: list[str]) -> None:
        self.route(rest or [self.services.node])


class DoubleStamp(Node):
    """A forwarded put whose answer was lost is tried at the next coordinator."""

    parts = Parts(put_request=_TriedElsewhere)


class _Remembering(RequestDedup):
    def __init__(self) -> None:
        super().__init__()
        #: key -> the last answer to a put of it
        self.last: dict[bytes, PutReply] = {}


class _Stale(PutRequest):
    @property
    def _last(self) -> dict[bytes, PutReply]:
        memory = self.services.dedup
        assert isinstance(memory, _Remembering)
        return memory.last

    def finish(self, reply: PutReply | Refusal) -> None:
        if isinstance(reply, PutReply):
            self._last[self.put.key] = reply
        super().finish(reply)

    def forward_in_doubt(self, rest: list[str]) -> None:
        before = self._last.get(self.put.key)
        if before is None:
            super().forward_in_doubt(rest)
        else:
            self.finish(msgspec.structs.replace(before, rid=self.put.rid))


class StaleForward(Node):
    """The answer to an earlier put of the key is taken for that of a forward that failed."""

    parts = Parts(request_dedup=_Remembering, put_request=_Stale)


class _Restamped(RecordTable):
    def combine(self, ours: State, incoming: State, why: str) -> State:
        merged = super().combine(ours, incoming, why)
        if why != "pending":
            return merged
        version = clock.versions(incoming)[0]
        actor = f"{self.identity.node}:0:0"
        return clock.update({}, version, merged, actor, clock.next_event(merged, actor))


class HandoffCoordinates(Node):
    """What a transfer brings is stamped again where it arrives, as a put of its own."""

    parts = Parts(objects=_Restamped)
