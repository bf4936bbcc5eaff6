"""Reaping tombstones: forgetting a deleted key everywhere, or nowhere.

A tombstone is what keeps the values below it dead. Once it is forgotten, any copy of such
a value that turns up, from a hint, a late message, a stale replica, is news, and lives
again. So it may only be forgotten when there is no such copy. The first primary of a key
whose record holds nothing but tombstones, unchanged for `reap_after` seconds, asks all that
take part (members, and those that have gone and may still hold something: decommission) in
three rounds, and continues only with what all agree to:

1. *Fence.* Every primary holds the record with just this hash, durable; no other node holds
   one; none has a hint for the key, or a request for it under way, or remembers a stamp
   that a retry would send again. Each then sets a fence around the key and calls all
   others; when all have answered, what it sent before has arrived (see key_barrier). A node
   that takes no part is not asked, and no state that it sends is merged.
2. *Check.* Every barrier is unbroken. Then there was an instant, when the last answer of
   the first round came, at which no state of the key existed but the primaries' own. All
   that comes after descends from it or from an empty record.
3. *Reap.* Each primary deletes its record if it still has this hash. If some do not get
   of it, anti-entropy brings the tombstone back to the others, and it is tried again: a
   tombstone may walk back, a value never.

A put that comes between is safe. It changes the hash where the record is still there, and
begins a record with a fresh actor, that no tombstone knows, where it is gone already. A
participant that cannot be asked, or a change of layout, puts reaping off. What this does
not protect from is a disk set back to a copy older than the reaped tombstone: wipe it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Literal

from dynamesis.cluster.core.protocol.messages import Answer, Key, Reap, ReapReply, State
from dynamesis.cluster.core.protocol.storage_reader import ReadFailed
from dynamesis.cluster.core.replication.hints import Hints
from dynamesis.cluster.core.replication.key_barrier import KeyBarriers
from dynamesis.cluster.core.ring.placement import Placement
from dynamesis.cluster.core.runtime.request_dedup import RequestDedup
from dynamesis.cluster.core.runtime.runtime import Failure, Runtime
from dynamesis.cluster.core.storage.record_table import Record, RecordTable
from dynamesis.cluster.core.storage.row_keys import Row, object_row, split_object

_BATCH = 256
Keys = Mapping[Key, int]
Round = Literal["fence", "check", "reap"]
Vote = Callable[[Iterable[Key]], None]


def is_tombstone(state: State) -> bool:
    """Whether all versions of a state are tombstones."""
    found = False
    for entry in state.values():
        for _, version in entry.values:
            if not version.deleted:
                return False
            found = True
    return found


class TombstoneReaper:
    def __init__(
        self,
        node: str,
        runtime: Runtime,
        objects: RecordTable,
        hints: Hints,
        barriers: KeyBarriers,
        retries: RequestDedup,
        after: float,
        timeout: float,
        *,
        settled: Callable[[], Placement | None],
        fingerprint: Callable[[], int],
        peers: Callable[[], list[str]],
        ping: Callable[[str, Callable[[Answer | Failure], None]], None],
    ) -> None:
        """`after`: seconds that a tombstone must have been unchanged; 0 reaps none.
        `timeout`: seconds for each answer. `settled`: the placement, None while a partition
        moves as far as this node knows; `fingerprint`: what must be the same for all that agree
        (Membership.fingerprint); `peers`: all other participants; `ping(peer, done)` asks one of
        them a question that carries nothing."""
        self.node = node
        self.runtime = runtime
        self._objects = objects
        self._hints = hints
        self._barriers = barriers
        self._retries = retries
        self._after = after
        self._timeout = timeout
        #: the rows whose versions are all tombstones, and since when
        self.tombstones: dict[Row, float] = {}
        self._rounds = 0
        self._running = False
        #: by node that asks: its round, and when this node last agreed to the keys of it
        self._agreed: dict[str, tuple[str, float]] = {}
        self.reaped = 0
        self.settled = settled
        self.fingerprint = fingerprint
        self.peers = peers
        self.ping = ping

    def start(self) -> None:
        if self._after:
            self.runtime.every(max(0.05, min(self._after / 4, 60.0)), self.look)

    def changed(self, row: Row, record: Record | None) -> None:
        """The record at `row` is another now, or was met by a scan."""
        if self._barriers.any_set:
            self._barriers.fall(split_object(row)[1])
        self.met(row, record)

    def met(self, row: Row, record: Record | None) -> None:
        """Note a tombstone, and since when it has not changed."""
        if self._after and record is not None and is_tombstone(record.state):
            self.tombstones[row] = self.runtime.now
        elif self.tombstones:
            self.tombstones.pop(row, None)

    # ---- the side that asks

    def look(self) -> None:
        """Begin to reap what has been dead for long enough here."""
        view = self.settled()
        if self._running or view is None:
            return
        due: dict[Key, int] = {}
        for row, since in self.tombstones.items():
            partition, key = split_object(row)
            if view.primaries(partition)[0] != self.node:
                continue
            if self.runtime.now - since >= self._after and len(due) < _BATCH:
                record = self._record(row)
                if record is not None:
                    due[key] = record.hash
        if due:
            self._rounds += 1
            self._running = True
            self._ask("fence", due, lambda: self._ask("check", due, lambda: self._reap(due)))

    def _record(self, row: Row) -> Record | None:
        try:
            return self._objects.get(row)
        except ReadFailed:
            return None

    def _ask(self, round: Round, due: dict[Key, int], then: Callable[[], None]) -> None:
        """One round with all that take part; `due` is cut down to what all agree to."""
        view = self.settled()
        members = [self.node, *self.peers()]
        if view is None or not due:
            self._running = False
            return
        question = Reap(0, round, f"{self.node} {self._rounds}", self.fingerprint(), dict(due))
        left = len(members)

        def vote(keys: Iterable[Key]) -> None:
            nonlocal left
            left -= 1
            agreed = frozenset(keys)
            refused = [key for key in due if key not in agreed]
            for key in refused:
                del due[key]
            if refused:
                self.runtime.note("reap-refused", code=round, keys=len(refused))
            if not left:
                then()

        for member in members:
            self.put(member, question, vote)

    def put(self, member: str, question: Reap, vote: Vote) -> None:
        """Ask one participant; vote(the keys that it agrees to)."""
        if member == self.node:
            self.asked(question, vote)
            return

        def answered(answer: Answer | Failure) -> None:
            vote(answer.keys if isinstance(answer, ReapReply) else ())

        q = question
        self.runtime.call(
            member,
            lambda rid: Reap(rid, q.round, q.name, q.view, q.keys),
            self._timeout,
            answered,
        )

    def _reap(self, due: dict[Key, int]) -> None:
        if due:
            self.runtime.emit("reap", keys=len(due))
        self._ask("reap", due, self._over)

    def _over(self) -> None:
        self._running = False

    # ---- the side that is asked

    def asked(self, asked: Reap, vote: Vote) -> None:
        """Answer with the keys agreed to."""
        view = self.settled()
        if view is None or self.fingerprint() != asked.view:
            vote(())
        elif asked.round == "fence":
            self._fence(asked, view, vote)
        elif asked.round == "check":
            self._agreed[asked.name.partition(" ")[0]] = asked.name, self.runtime.now
            vote([key for key in asked.keys if self._barriers.unbroken(key, asked.name)])
        else:
            since = self._since_agreed(asked.name)
            keys = asked.keys.items()
            vote([key for key, hash in keys if self._forget(key, hash, view, since)])

    def _since_agreed(self, name: str) -> float | None:
        """Seconds since this node agreed to a round; None where it does not know, as after a
        start."""
        agreed, at = self._agreed.get(name.partition(" ")[0], ("", 0.0))
        return self.runtime.now - at if agreed == name else None

    def _fence(self, asked: Reap, view: Placement, vote: Vote) -> None:
        self._barriers.clear(asked.name.partition(" ")[0])
        keys = [key for key, hash in asked.keys.items() if self.is_alone(key, hash, view)]
        for key in keys:
            self._barriers.set(key, asked.name)
        peers = self.peers()
        silent = left = len(peers)
        if not keys or not peers:
            vote(keys)
            return

        def answered(answer: Answer | Failure) -> None:
            nonlocal left, silent
            left -= 1
            silent -= not isinstance(answer, str)
            if not left:
                vote(keys if not silent else ())

        for peer in peers:
            self.ping(peer, answered)

    def is_alone(self, key: Key, hash: int, view: Placement) -> bool:
        """Whether this node knows of no state of `key` but the record of that hash, if it is
        a primary, or none at all."""
        row = object_row(view.partition(key), key)
        if self._barriers.busy(key) or self._retries.remembers(key) or not self._objects.saved(row):
            return False
        if self._hints.targets(key) or not self._hints.records.settled:
            return False
        try:
            record = self._objects.get(row)
        except ReadFailed:
            return False
        if self.node in view.primaries(view.partition(key)):
            return record is not None and record.hash == hash and is_tombstone(record.state)
        return record is None

    def _forget(self, key: Key, hash: int, view: Placement, since: float | None) -> bool:
        row = object_row(view.partition(key), key)
        record = self._record(row)
        if record is None or record.hash != hash:
            return False
        agreed = {} if since is None else {"agreed": round(since, 6)}
        self.runtime.emit("reaped", key=key, **agreed)
        self._objects.remove(row, self._forgotten)
        return True

    def _forgotten(self, code: str | None) -> None:
        self.reaped += code is None
