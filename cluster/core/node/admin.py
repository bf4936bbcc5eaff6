"""Answers an administrator: status, ring, dump, explanation of a key, membership changes.

These commands come on the admin port, round the proxies. Only `exchange`, `repair` and the changes
of the membership (`join`, `leave`, `remove`) change anything.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypedDict

from dynamesis.cluster.core.membership.changes import former
from dynamesis.cluster.core.membership.membership import ChangeRefused, Kind, settled
from dynamesis.cluster.core.node.assembly import Assembly
from dynamesis.cluster.core.protocol.events import AdminRequest
from dynamesis.cluster.core.protocol.messages import Arguments, Entry, Key, State
from dynamesis.cluster.core.protocol.storage_reader import ReadFailed
from dynamesis.cluster.core.replication.standing import ExchangeStatus
from dynamesis.cluster.core.storage.row_keys import Row, split_hint, split_object
from dynamesis.cluster.core.versions import clock

_PAGE = 500
_MOST = 100_000
#: bytes of values after which a page of a dump ends
_PAGE_BYTES = 32 << 20
_SHOWN = 100
_QUANTILES = (0.5, 0.9, 0.99, 0.999)


class MembershipStatus(TypedDict):
    """The membership as this node sees it. `owned`: partitions by member; `former`: nodes that
    are gone, and may still hold something. `waits_for`: the nodes that cannot be reached, and that
    the change under way waits for, by node: why, and what to do."""

    version: int
    members: list[str]
    settled: bool
    owned: dict[str, int]
    former: list[str]
    waits_for: dict[str, str]


class StoredSibling(TypedDict):
    """One version of a key."""

    value: bytes
    deleted: bool


class DumpedRow(TypedDict):
    """The versions of a key, its own or those of a hint for another node."""

    key: Key
    hint_for: str | None
    siblings: list[StoredSibling]


class DumpPage(TypedDict):
    """Some rows, and where to continue: [table, row], None at the end."""

    rows: list[DumpedRow]
    next: list[Row | str | None] | None


class Admin:
    """Answers AdminRequest events."""

    def __init__(self, node: Assembly) -> None:
        self._node = node
        self._commands: dict[str, Callable[[Arguments], object]] = {
            "status": self.status,
            "ring": self.ring,
            "dump": self.dump,
            "explain": self.explain,
            "exchange": self.exchange,
            "repair": self.repair,
            "figures": self.figures,
            "join": lambda args: self.change("join", args),
            "leave": lambda args: self.change("leave", args),
            "remove": lambda args: self.change("remove", args),
        }

    def asked(self, asked: AdminRequest) -> None:
        runtime = self._node.runtime
        command = self._commands.get(asked.command)
        if command is None:
            known = ", ".join(sorted(self._commands))
            runtime.answer(
                asked.token, error=f"unknown command {asked.command!r}; there are {known}"
            )
            return
        if self._node.placement is None and asked.command not in ("status", "dump", "figures"):
            runtime.answer(asked.token, error=self._node.why_not_ready())
            return
        try:
            runtime.answer(asked.token, command(asked.args))
        except (ArithmeticError, LookupError, TypeError, ValueError) as e:
            runtime.answer(asked.token, error=f"{asked.command}: bad arguments: {e!r}")
        except (ChangeRefused, ReadFailed) as e:
            if isinstance(e, ChangeRefused):
                runtime.emit("change-refused", kind=asked.command, reason=str(e))
            runtime.answer(asked.token, error=f"{asked.command}: {e}")

    def status(self, args: Arguments) -> dict[str, object]:
        node = self._node
        waiting = node.hints.count()
        moving = node.transfers.status() if node.placement else []
        return {
            "node": node.params.node,
            "ready": node.ready,
            "objects": node.trees.objects,
            "trees": {
                "complete": node.trees.complete,
                "rebuilding": node.trees.rebuilding,
                "rebuilds": node.trees.rebuilds,
            },
            "damaged": len(node.objects.damaged) + len(node.hints.records.damaged),
            "unsaved": len(node.objects.buffer) + len(node.hints.records.buffer),
            "hints": sum(waiting.values()),
            "hints_for": waiting,
            "hint_bytes": node.hints.bytes,
            "handed_off": node.hints.handed_off,
            **node.hints.account(),
            "reaped": node.reaper.reaped,
            "read_repairs": node.stats.read_repairs,
            "transfers": len(moving),
            "moving": moving[:_SHOWN],
            "membership": self._membership(),
            "waiting_for": node.bootstrap.waiting_for(),
            # whether another member has answered since it started: else it knows its disk's ring
            "informed": node.membership.informed,
            "same_name": node.same_name.names(),
            "requests": node.admission.requests,
            "request_bytes": node.admission.bytes,
            "queue_limit": int(node.admission.queue.limit),
            "keys_in_progress": len(node.barriers),
            "background_slices": node.admission.slices,
            "oldest_hint": round(node.hints.oldest(), 3),
            "oldest_exchange": round(node.anti_entropy.oldest(), 3),
            "peers": node.detector.status(),
            "exchanges": node.anti_entropy.status(),
        }

    def figures(self, args: Arguments) -> dict[str, object]:
        """What is measured, as plain numbers: for metrics (cluster.process.metrics)."""
        node = self._node
        now, stats = node.runtime.now, node.stats
        return {
            "latency": {
                kind: {
                    "buckets": latencies.total,
                    "sum": latencies.sum,
                    "quantiles": {str(q): latencies.quantile(now, q) for q in _QUANTILES},
                }
                for kind, latencies in stats.latency.items()
            },
            "siblings": stats.siblings,
            "clock": stats.clock,
            "refusals": stats.refusals,
            "read_repairs": stats.read_repairs,
            "exchange_repairs": sum(s.repaired for s in node.anti_entropy.standing.values()),
        }

    def ring(self, args: Arguments) -> dict[str, object]:
        p = self._node.params
        layout = self._node.view.layout
        zoned = {"zones": dict(p.zones), "zone_replicas": dict(p.zone_replicas)}
        return {
            "partitions": len(layout.owners),
            "owners": list(layout.owners),
            "target": list(layout.target),
            "members": list(layout.members),
            "version": layout.version,
            "n": p.n,
            "r": p.r,
            "w": p.w,
            "sloppy": p.sloppy,
            **(zoned if p.zones else {}),
        }

    def change(self, kind: Kind, args: Arguments) -> dict[str, str]:
        """Ask for `node` to join, leave, or be removed as dead. Raises ChangeRefused."""
        if not self._node.params.anti_entropy_interval:
            raise ChangeRefused(
                "anti_entropy_interval is 0: nothing would bring its data to a new owner"
            )
        change = self._node.membership.request(kind, args["node"])
        self._node.runtime.emit("change-proposed", change=change.id, kind=kind, of=change.node)
        return {"id": change.id, "kind": change.kind, "node": change.node}

    def _membership(self) -> MembershipStatus | None:
        layout = self._node.membership.layout
        if layout is None:
            return None
        return {
            "version": layout.version,
            "members": list(layout.members),
            "settled": settled(layout),
            "owned": {m: layout.target.count(m) for m in layout.members},
            "former": sorted(former(layout, self._node.membership.requests)),
            "waits_for": {node: _way_out(node, why) for node, why in self._stuck().items()},
        }

    def _stuck(self) -> dict[str, str]:
        """The claimant too: where it is down, a change neither begins nor ends."""
        if not self._node.placement:
            return {}
        found, transfers = self._node.transfers.stuck(), self._node.transfers
        claimant, task = self._node.membership.to_be_claimed()
        if task and claimant != self._node.params.node and not transfers.healthy(claimant):
            found.setdefault(claimant, f"it is to {task}")
        return dict(sorted(found.items()))

    def dump(self, args: Arguments) -> DumpPage:
        """A page of what this node holds: {"rows": [...], "next": position or None}. Objects
        come first, then hints; pass `next` back as `after`."""
        limit = min(max(1, int(args.get("limit") or _PAGE)), _MOST)
        table, after = args.get("after") or ("objects", None)
        records = self._node.objects if table == "objects" else self._node.hints.records
        rows: list[DumpedRow] = []
        size = 0
        for row, record in records.scan(after=after):
            rows.append(_row(table, row, record.state))
            size += sum([len(sibling["value"]) for sibling in rows[-1]["siblings"]])
            if len(rows) >= limit or size > _PAGE_BYTES:
                return {"rows": rows, "next": [table, row]}
        return {"rows": rows, "next": ["hints", None] if table == "objects" else None}

    def explain(self, args: Arguments) -> dict[str, object]:
        """What this node knows of one key."""
        key: Key = args["key"]
        node = self._node
        view = node.view
        partition = view.partition(key)
        record = node.replica.own(key)
        return {
            "partition": partition,
            "preference": list(view.preference(partition)),
            "primaries": list(view.primaries(partition)),
            "actor": None if record is None else record.actor,
            "clock": {} if record is None else _clock(record.state),
            "siblings": [] if record is None else _siblings(record.state),
            "hints_for": list(node.hints.targets(key)),
        }

    def exchange(self, args: Arguments) -> dict[str, ExchangeStatus]:
        """Hand hints off, begin an exchange with every healthy peer with which none is under way,
        and look whether a node that has left holds nothing any more: what the node does every so
        often it does now. The first two continue after the answer. Without anti-entropy there are
        no exchanges."""
        if self._node.params.anti_entropy_interval:
            self._node.anti_entropy.begin_all()
        self._node.hints.hand_off()
        self._node.decommission.look()
        return self._node.anti_entropy.status()

    def repair(self, args: Arguments) -> dict[str, ExchangeStatus]:
        """Read every record, so that what is damaged shows; begin an exchange with every
        healthy peer; hand hints off. All that begins now, and continues after the answer."""
        self._node.trees.rebuild()
        self._node.anti_entropy.begin_all()
        self._node.hints.hand_off()
        return self._node.anti_entropy.status()


def _way_out(node: str, why: str) -> str:
    return f"{why}, and it is down: start it, or if it will not come back, remove {node}"


def _row(table: str, row: Row, state: State) -> DumpedRow:
    target, key = split_hint(row) if table == "hints" else (None, split_object(row)[1])
    return {"key": key, "hint_for": target, "siblings": _siblings(state)}


def _siblings(state: State) -> list[StoredSibling]:
    return [{"value": v.value, "deleted": v.deleted} for v in clock.versions(state)]


def _clock(state: State) -> dict[str, Any]:
    def shown(entry: Entry) -> Any:
        return entry.n if not entry.extra else [entry.n, *entry.extra]

    return {actor: shown(entry) for actor, entry in sorted(state.items())}
