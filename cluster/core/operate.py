"""What an administrator may ask a node: its status, what it holds, and why.

These questions come round the proxies, on the admin port, and none of them repairs or
changes anything but `repair`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from . import clock
from .events import Asked
from .messages import Entry, State
from .rows import split_hint, split_object
from .store import ReadFailed

if TYPE_CHECKING:
    from .node import Node

_PAGE = 500


class Operator:
    """Answers Asked events."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._commands: dict[str, Callable[[dict[str, Any]], Any]] = {
            "status": self.status,
            "ring": self.ring,
            "dump": self.dump,
            "explain": self.explain,
            "repair": self.repair,
        }

    def asked(self, asked: Asked) -> None:
        kernel = self._node.kernel
        command = self._commands.get(asked.command)
        if command is None:
            known = ", ".join(sorted(self._commands))
            kernel.answer(
                asked.token, error=f"unknown command {asked.command!r}; there are {known}"
            )
            return
        try:
            kernel.answer(asked.token, command(asked.args))
        except (KeyError, TypeError, ValueError) as e:
            kernel.answer(asked.token, error=f"{asked.command}: bad arguments: {e!r}")
        except ReadFailed as e:
            kernel.answer(asked.token, error=f"{asked.command}: {e}")

    def status(self, args: dict[str, Any]) -> dict[str, Any]:
        node = self._node
        waiting = node.hints.count()
        return {
            "node": node.params.node,
            "ready": node.ready,
            "objects": node.trees.objects,
            "hints": sum(waiting.values()),
            "hints_for": waiting,
            "hint_bytes": node.hints.bytes,
            "handed_off": node.hints.handed_off,
            "transfers": 0,
            "requests": node.requests,
            "peers": node.detector.status(),
            "exchanges": node.anti_entropy.status(),
        }

    def ring(self, args: dict[str, Any]) -> dict[str, Any]:
        p = self._node.params
        owners = self._node.ring.owners
        return {
            "partitions": len(owners),
            "owners": list(owners),
            "n": p.n,
            "r": p.r,
            "w": p.w,
            "sloppy": p.sloppy,
        }

    def dump(self, args: dict[str, Any]) -> dict[str, Any]:
        """A page of what this node holds: {"rows": [...], "next": position or None}. Objects
        come first, then hints; pass `next` back as `after`."""
        limit = int(args.get("limit") or _PAGE)
        table, after = args.get("after") or ("objects", None)
        records = self._node.objects if table == "objects" else self._node.hints.records
        rows: list[dict[str, Any]] = []
        for row, record in records.scan(after=after):
            rows.append(_row(table, row, record.state))
            if len(rows) >= limit:
                return {"rows": rows, "next": [table, row]}
        return {"rows": rows, "next": ["hints", None] if table == "objects" else None}

    def explain(self, args: dict[str, Any]) -> dict[str, Any]:
        """What this node knows of one key."""
        key: bytes = args["key"]
        node = self._node
        partition = node.ring.partition(key)
        record = node.replica.own(key)
        return {
            "partition": partition,
            "preference": list(node.ring.preference(partition)),
            "primaries": list(node.ring.primaries(partition)),
            "actor": None if record is None else record.actor,
            "clock": {} if record is None else _clock(record.state),
            "siblings": [] if record is None else _siblings(record.state),
            "hints_for": list(node.hints.targets(key)),
        }

    def repair(self, args: dict[str, Any]) -> dict[str, Any]:
        """Begin an exchange with every healthy peer, and hand hints off, now."""
        self._node.anti_entropy.begin_all()
        self._node.hints.hand_off()
        return self._node.anti_entropy.status()


def _row(table: str, row: bytes, state: State) -> dict[str, Any]:
    target, key = split_hint(row) if table == "hints" else (None, split_object(row)[1])
    return {"key": key, "hint_for": target, "siblings": _siblings(state)}


def _siblings(state: State) -> list[dict[str, Any]]:
    return [{"value": v.value, "deleted": v.deleted} for v in clock.versions(state)]


def _clock(state: State) -> dict[str, Any]:
    def shown(entry: Entry) -> Any:
        return entry.n if not entry.extra else [entry.n, *entry.extra]

    return {actor: shown(entry) for actor, entry in sorted(state.items())}
