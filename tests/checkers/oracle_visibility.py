"""Consistency models by their axioms, by brute force, on tiny histories.

After Cerone, Bernardi and Gotsman, A Framework for Transactional Consistency Models with Atomic
Visibility (CONCUR 2015): a history is allowed if some total order of arbitration (AR) and some
relation of visibility within it (VIS) explain every read: a transaction sees of a key what the
last in AR of the visible writers left (EXT), and of itself what it last did (INT). Each model
asks for closures of VIS, so that for an AR the least VIS decides. Shares no code with the
checkers."""

from __future__ import annotations

from itertools import combinations, permutations
from typing import Any

from dynamesis.checkers.history.history import Op
from oracle_txn import Txn, transactions

Pairs = set[tuple[int, int]]

#: model -> (what VIS contains beside the reads-from relation, transitive, prefix-closed)
MODELS = {
    "read-atomic": ((), False, False),
    "causal-cerone": ((), True, False),
    "prefix": ((), True, True),
    "parallel-snapshot-isolation": (("conflict",), True, False),
    "snapshot-isolation": (("conflict",), True, True),
    "strong-session-snapshot-isolation": (("conflict", "session"), True, True),
    "strong-snapshot-isolation": (("conflict", "realtime"), True, True),
    "serializable": (("all",), True, True),
    "strong-session-serializable": (("all", "session"), True, True),
    "strict-serializable": (("all", "realtime"), True, True),
}


class History:
    """Transactions that succeeded, and those that may have."""

    def __init__(self, ops: list[Op], lists: bool) -> None:
        self.lists = lists
        txns = transactions(ops)
        self.sure = [t for t in txns if t.status == "ok"]
        self.perhaps = [t for t in txns if t.status == "info"]

    def allowed(self, model: str) -> bool:
        """Is there an AR and a VIS?"""
        for count in range(len(self.perhaps) + 1):
            for some in combinations(self.perhaps, count):
                for order in permutations([*self.sure, *some]):
                    if self._explained(list(order), *MODELS[model]):
                        return True
        return False

    def _explained(
        self, order: list[Txn], contains: tuple[str, ...], transitive: bool, prefix: bool
    ) -> bool:
        sources = self._sources(order)
        if sources is None:
            return False
        vis = {(a, b) for a, b, _, _ in sources if a >= 0}
        for i, j in combinations(range(len(order)), 2):
            if "all" in contains or ("conflict" in contains and conflict(order[i], order[j])):
                vis.add((i, j))
        for i, a in enumerate(order):
            for j, b in enumerate(order):
                before = a.status == "ok" and a.end is not None and a.end < b.begin
                session = "session" in contains and a.process == b.process
                if before and (session or "realtime" in contains):
                    vis.add((i, j))
        vis = closed(vis, len(order), transitive, prefix)
        if any(i >= j for i, j in vis):
            return False
        return all(
            max(
                (w for w in range(len(order)) if (w, b) in vis and writes(order[w], key)),
                default=-1,
            )
            == a
            for a, b, key, _ in sources
        )

    def _sources(self, order: list[Txn]) -> list[tuple[int, int, Any, Any]] | None:
        """(writer, -1 for none; reader; key; value) of reads from outside, None where one cannot
        be explained by any writer, or a transaction contradicts itself."""
        states: dict[Any, list[Any]] = {}
        left: dict[tuple[Any, str], int] = {}
        for i, t in enumerate(order):
            for key in {k for _, k, _ in t.mops}:
                own = [v for _, k, v in t.writes() if k == key]
                if own:
                    states.setdefault(key, []).extend(own)
                    state = states[key] if self.lists else own[-1]
                    left[(key, repr(state))] = i
        found = []
        for j, t in enumerate(order):
            if t.status != "ok":
                continue
            seen: dict[Any, Any] = {}
            for f, key, value in t.mops:
                if f != "r":
                    if not self.lists:
                        seen[key] = value
                    elif key in seen:
                        seen[key] = type(seen[key])([*seen[key], value])
                    else:
                        seen[key] = _Tail([value])
                    continue
                shown = (value or []) if self.lists else value
                before = seen.get(key)
                if isinstance(before, _Tail):
                    if shown[len(shown) - len(before) :] != list(before):
                        return None
                    shown_outside = shown[: len(shown) - len(before)]
                elif key in seen:
                    if before != shown:
                        return None
                    continue
                else:
                    shown_outside = shown
                seen[key] = shown
                nothing = shown_outside == [] if self.lists else shown_outside is None
                source = -1 if nothing else left.get((key, repr(shown_outside)))
                if source is None or source == j:
                    return None
                found.append((source, j, key, value))
        return found


class _Tail(list):  # type: ignore[type-arg]
    """What a transaction appended to a list that it has not read."""


def writes(t: Txn, key: Any) -> bool:
    return any(k == key for _, k, _ in t.writes())


def conflict(a: Txn, b: Txn) -> bool:
    return any(writes(b, k) for _, k, _ in a.writes())


def closed(vis: Pairs, many: int, transitive: bool, prefix: bool) -> Pairs:
    """VIS with what the model adds: VIS;VIS, and AR;VIS (AR is the order of numbers)."""
    found = set(vis)
    while True:
        more = set()
        for i, j in found:
            if prefix:
                more |= {(h, j) for h in range(i)}
            if transitive:
                more |= {(h, j) for h in range(many) if (h, i) in found}
        if more <= found:
            return found
        found |= more
