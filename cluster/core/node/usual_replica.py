"""A replica's answers where all is as usual: one short way through a node whose parts are the
stock ones, for the two questions that every put and every get ask of it.

Usual is: this node owns the key, holds no hint for it, no row is damaged; what is stored is
durable before it is acknowledged; versions are dotted version vectors and siblings stay; and a
copy that comes follows on the record that is here. Whatever is not so goes to the general
machine (dispatch, replica, record_table), of which this is the abridgement: the same states,
log lines, effects, and order of effects (tests/core/test_usual_cases.py). A node with a planted
bug has no short way, so that the bug acts.
"""

from __future__ import annotations

from collections.abc import Set
from functools import partial
from typing import TypeVar

from dynamesis.cluster.core.node.assembly import Assembly
from dynamesis.cluster.core.protocol.events import Emit, Reply
from dynamesis.cluster.core.protocol.messages import (
    Key,
    ReplicaGet,
    ReplicaGetReply,
    ReplicaPut,
    ReplicaPutReply,
    State,
)
from dynamesis.cluster.core.protocol.names import MOST_KEY
from dynamesis.cluster.core.protocol.storage_reader import ReadFailed
from dynamesis.cluster.core.ring.placement import Placement
from dynamesis.cluster.core.ring.ring import partition_of
from dynamesis.cluster.core.storage.buffer import Done
from dynamesis.cluster.core.storage.outlines import LARGE, SMALL, Outline
from dynamesis.cluster.core.storage.record_table import Record
from dynamesis.cluster.core.storage.row_keys import Row, object_row
from dynamesis.cluster.core.versions import clock

T = TypeVar("T")
#: of a state: the names of its versions, whether any of them is a tombstone, the bytes of all
Held = tuple[list[str], bool, int]
#: keys whose places are remembered
_REMEMBERED = 4096


class UsualReplica:
    """The short way of one node. `get` and `put` answer a question, or return False having done
    nothing."""

    def __init__(self, node: Assembly) -> None:
        self._node = node
        self._me = node.params.node
        self.objects = node.objects
        self._pending = node.objects.buffer.pending
        self._runtime = node.runtime
        self._trees = node.trees
        self._reaper = node.reaper
        self._barriers = node.barriers
        self._identity = node.identity
        self._hints = node.hints
        self._durable = node.replica.durable
        self._partitions = node.params.partitions
        self._detector = node.detector
        #: the placement that these are of: the partitions to be held here, and by partition its
        #: primaries where all are healthy (None where not) and none is about to change
        self._view: Placement | None = None
        self._held: Set[int] = frozenset()
        self._well: dict[int, tuple[str, ...] | None] = {}
        #: of keys asked for lately, what `row` and `primaries` have answered since
        self._rows: dict[Key, Row | None] = {}
        self._places: dict[Key, tuple[str, ...] | None] = {}
        #: as of which change of the peers' health
        self._changes = -1

    def row(self, key: Key) -> Row | None:
        """The row of a key that this node is to hold; None if it is not."""
        if self._node.placement is not self._view:
            self._look_at_placement()
        rows = self._rows
        known = rows.get(key)
        if known is not None or key in rows:
            return known
        if not 0 < len(key) <= MOST_KEY:
            return None
        partition = partition_of(key, self._partitions)
        row = object_row(partition, key) if partition in self._held else None
        _remember(rows, key, row)
        return row

    def primaries(self, key: Key) -> tuple[str, ...] | None:
        """The primaries of `key`, if all are healthy and none is about to change: the places of a
        request as usual; None otherwise."""
        if self._node.placement is not self._view:
            self._look_at_placement()
        if self._detector.changes != self._changes:
            self._changes = self._detector.changes
            self._well, self._places = {}, {}
        places = self._places
        if key in places:
            return places[key]
        partition = partition_of(key, self._partitions)
        if partition not in self._well:
            self._well[partition] = self._node.services.all_well(key)
        _remember(places, key, self._well[partition])
        return self._well[partition]

    def _look_at_placement(self) -> None:
        self._view = view = self._node.placement
        self._held = frozenset() if view is None else view.held(self._me)
        self._well, self._rows, self._places = {}, {}, {}

    def get(self, channel: int, asked: ReplicaGet) -> bool:
        """Show the one record of a key, which is durable."""
        try:
            record = self.durable(asked.key) if asked.hint_for is None else None
        except ReadFailed:
            return False
        if record is None:
            return False
        answer = ReplicaGetReply(asked.rid, record.state, None, self._durable)
        self._runtime.effects.append(Reply(channel, answer))
        return True

    def durable(self, key: Key) -> Record | None:
        """The record of a key that this node is to hold, where that is all that is here of it, and
        durable; None otherwise. Raises ReadFailed."""
        row = self.row(key)
        if row is None or row in self._pending or self._hints.targets(key):
            return None
        return self.objects.get(row)

    def put(self, channel: int, peer: str | None, asked: ReplicaPut) -> bool:
        """Store a copy that follows on the record here."""
        members = self._node.participants
        if asked.hint_for is not None or peer not in members or self._me not in members:
            return False
        objects, key, coming = self.objects, asked.key, asked.state
        row = self._rows.get(key) if self._node.placement is self._view else None
        if row is None:
            row = self.row(key)
        if row is None or asked.why != "put" or objects.damaged:
            return False
        outlines = objects.outlines
        old = outlines.young.get(row) or outlines.old.get(row) or self.replaced(row, coming)
        if old is None:
            return False
        here, actor = old.state, old.actor
        held = follower(here, coming) if len(coming) == 1 == len(here) else None
        if held is not None:
            state = coming
        else:
            merged = followed(here, coming)
            if merged is None:
                return False
            state, held = merged, holds(merged)
            if len(state) != len(here):  # the actors of the record here were looked at before
                with self._runtime.working_on(asked.request):
                    self._identity.look_at(coming)
        if actor is not None and actor in coming and not clock.covers(here, coming, actor):
            actor = None
            with self._runtime.working_on(asked.request):
                self._runtime.emit("record-behind", was=old.actor, key=key)
        # where it leaves just what came, the coordinator has hashed that already
        same = len(state) == len(coming)
        digest = asked.digest if same and asked.digest else clock.digest(state)
        done = partial(self._stored, channel, asked.rid, asked.durable and self._durable)
        new = Record(state, actor, digest)
        self.store(row, key, {"why": "put"}, asked.request, held, old, new, done)
        return True

    def _stored(self, channel: int, rid: int, kept: bool, code: str | None) -> None:
        """Answer for a copy; `kept`: whether it is durable now, if it is stored."""
        answer = ReplicaPutReply(rid, kept and code is None, code)
        self._runtime.effects.append(Reply(channel, answer))

    def large(self, row: Row, known: State) -> Outline | None:
        """What is known without reading of a large record that is to be replaced by a state that
        knows these actors: all but its values, where it is durable and that is enough. None
        otherwise."""
        outlines = self.objects.outlines
        if not outlines.of_rows or row in self._pending:
            return None
        return outlines.of(row, known)

    def replaced(self, row: Row, known: State) -> Record | Outline | None:
        """The same, or the record as it is read; None where that takes a closer look."""
        try:
            return self.large(row, known) or self.objects.get(row)
        except ReadFailed:
            return None

    def continues(self, actor: str, state: State, known: State) -> bool:
        """Whether a record is stamped under its actor again: no client has seen more of it than
        the record has, nor an actor that the record does not know. `known`: what record and
        context know."""
        here = state.get(actor)
        return (
            here is not None
            and len(known) == len(state)
            and known[actor].n == here.n
            and self._identity.usable(actor)
        )

    def store(
        self,
        row: Row,
        key: Key,
        line: dict[str, object],
        request: str,
        held: Held,
        old: Record | Outline | None,
        new: Record,
        done: Done,
    ) -> None:
        """Replace the record of a row; done() once that is durable. `line`: what the event log
        is to have before what is stored; `request`: the client's of which it comes; `held`: what
        holds(new.state) is."""
        dots, deleted, size = held
        line["hash"] = f"{new.hash:016x}"
        line["holds"] = dots
        line["key"] = key
        if request:
            line["request"] = request
        self._runtime.effects.append(Emit("stored", line, True))
        outlines = self.objects.outlines
        if size <= SMALL:
            outlines.keep_small(row, new)
        elif size >= LARGE:
            outlines.keep(row, new.state, new.actor, new.hash)
        else:
            outlines.drop(row)
        self.objects.buffer.write_through(row, new, done)
        if old is None:
            self._trees.changed(row, old, new)
        else:
            self._trees.replaced(row, old.hash, new.hash)
        reaper = self._reaper
        if deleted or reaper.tombstones or self._barriers.names:
            reaper.changed(row, new)


def _remember(places: dict[Key, T], key: Key, place: T) -> None:
    """Keep what was found for a key; of too many keys begin anew."""
    if len(places) >= _REMEMBERED:
        places.clear()
    places[key] = place


def holds(state: State) -> Held:
    """The names of the versions of a state, as `clock.dots` has them, whether any of them is a
    tombstone, and the bytes of all."""
    if len(state) == 1:
        ((actor, entry),) = state.items()
        if len(entry.values) == 1:
            ((event, version),) = entry.values
            return [f"{actor}:{event}"], version.deleted, len(version.value)
    names, deleted, size = [], False, 0
    for actor in sorted(state) if len(state) > 1 else state:
        for event, version in state[actor].values:
            names.append(f"{actor}:{event}")
            size += len(version.value)
            if version.deleted:
                deleted = True
    return names, deleted, size


def follower(ours: State, theirs: State) -> Held | None:
    """Of two states of one actor each: what `theirs` holds, where that is one version, stamped
    after all that `ours` knows. Then it is the merge of the two. None otherwise."""
    ((actor, coming),) = theirs.items()
    here = ours.get(actor)
    if here is None or len(coming.values) != 1 or coming.extra or here.extra:
        return None
    ((event, version),) = coming.values
    if not here.n < event <= coming.n:
        return None
    return [f"{actor}:{event}"], version.deleted, len(version.value)


def followed(ours: State, theirs: State) -> State | None:
    """The merge of two states where all that differs in `theirs` was stamped after what `ours`
    knows; None otherwise, and where nothing differs."""
    merged = ours
    for actor, coming in theirs.items():
        here = ours.get(actor)
        if here is not None and here == coming:
            continue
        if here is not None and not clock.follows(here, coming):
            return None
        if merged is ours:
            merged = dict(ours)
        merged[actor] = coming
    return None if merged is ours else merged
