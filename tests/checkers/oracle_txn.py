"""List-append and rw-register by brute force: all pairs of transactions, all simple cycles.

Written from the definitions (Adya; Elle), sharing no code with the checkers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise, product
from typing import Any

from dynamesis.checkers.history.history import Op


@dataclass(eq=False)
class Txn:
    begin: int
    end: int | None
    status: str
    process: Any
    mops: list[list[Any]]

    def reads(self) -> Iterator[tuple[int, Any, Any]]:
        if self.status == "ok":
            for i, (f, key, value) in enumerate(self.mops):
                if f == "r":
                    yield i, key, value

    def writes(self) -> Iterator[tuple[int, Any, Any]]:
        for i, (f, key, value) in enumerate(self.mops):
            if f != "r":
                yield i, key, value

    def outside(self, key: Any) -> tuple[bool, Any]:
        """Whether its first micro-operation on the key is a read, and what that saw."""
        for f, k, value in self.mops:
            if k == key:
                return f == "r" and self.status == "ok", value
        return False, None

    def last_write(self, key: Any) -> Any:
        written = [v for _, k, v in self.writes() if k == key]
        return written[-1] if written else None


def transactions(ops: list[Op]) -> list[Txn]:
    waiting: dict[Any, Txn] = {}
    txns = []
    for i, op in enumerate(ops):
        if op.type == "invoke":
            waiting[op.process] = Txn(i, None, "info", op.process, op.value)
            txns.append(waiting[op.process])
        else:
            txn = waiting.pop(op.process)
            txn.end, txn.status = i, op.type
            if op.type == "ok":
                txn.mops = op.value
    return txns


def aborted(t: Txn, writer: Txn) -> str:
    """A read of a write that failed, which may not even have begun."""
    return "phantom" if t.end is not None and writer.begin > t.end else "G1a"


def cyclic(pairs: set[tuple[Any, Any]]) -> set[tuple[Any, Any]]:
    """Those on a cycle."""
    import networkx as nx  # slow to import, and each worker imports all tests

    graph = nx.DiGraph(list(pairs))
    component = {v: i for i, c in enumerate(nx.strongly_connected_components(graph)) for v in c}
    return {(v, w) for v, w in pairs if component[v] == component[w]}


class Base:
    """What both models share."""

    def __init__(self, ops: list[Op]) -> None:
        self.txns = transactions(ops)
        self.alive = [t for t in self.txns if t.status != "fail"]
        self.writer = {(k, v): t for t in self.txns for _, k, v in t.writes()}
        self.edges: set[tuple[Txn, Txn, str, int]] = set()

    def link(self, a: Txn | None, b: Txn | None, kind: str, level: int | None = None) -> None:
        if a is None or b is None or a is b:
            return
        if a.status != "fail" and b.status != "fail":
            own = {"process": 1, "realtime": 2}.get(kind, 0)
            self.edges.add((a, b, kind, own if level is None else level))

    def orders(self) -> None:
        for a, b in product(self.alive, repeat=2):
            if a.status == "ok" and a.end is not None and a.end < b.begin:
                self.link(a, b, "realtime")
                if a.process == b.process:
                    self.link(a, b, "process")

    def cycles(self) -> set[str]:
        import networkx as nx

        graph = nx.DiGraph()
        kinds: dict[tuple[Txn, Txn], set[tuple[str, int]]] = {}
        for a, b, kind, level in self.edges:
            graph.add_edge(a, b)
            kinds.setdefault((a, b), set()).add((kind, level))
        found = set()
        for cycle in nx.simple_cycles(graph):
            hops = [kinds[edge] for edge in pairwise([*cycle, cycle[0]])]
            for chosen in product(*hops):
                found.add(cycle_name(chosen))
        return found

    def lost_updates(self) -> bool:
        seen: list[tuple[Any, Any]] = []
        for t in self.txns:
            if t.status != "ok":
                continue
            for key in {k for _, k, _ in t.mops}:
                read, value = t.outside(key)
                if read and t.last_write(key) is not None and self.readable(key, value):
                    seen.append((key, repr(value or None)))
        return len(set(seen)) < len(seen)

    def readable(self, key: Any, value: Any) -> bool:
        return True


def cycle_name(edges: tuple[tuple[str, int], ...]) -> str:
    level = ("", "-process", "-realtime")[max(level for _, level in edges)]
    kinds = [kind for kind, _ in edges]
    rw = kinds.count("rw")
    if rw == 1:
        return "G-single" + level
    if rw:
        adjacent = any(a == b == "rw" for a, b in pairwise([*kinds, kinds[0]]))
        return ("G2-item" if adjacent else "G-nonadjacent") + level
    return ("G1c" if "wr" in kinds else "G0") + level


class ListAppend(Base):
    """All reads of lists, compared with one longest read of their key."""

    def __init__(self, ops: list[Op]) -> None:
        super().__init__(ops)
        reads = [(t, i, k, v or []) for t in self.txns for i, k, v in t.reads()]
        self.order: dict[Any, list[Any]] = {}
        for _, _, k, v in reads:
            if len(v) >= len(self.order.get(k, [])):
                self.order[k] = v
        self.reads = reads
        self.orders()
        for key in {k for t in self.txns for _, k, _ in t.mops}:
            self._depend(key)

    def readable(self, key: Any, value: Any) -> bool:
        return self.prefix(key, value or [])

    def prefix(self, key: Any, value: list[Any]) -> bool:
        return self.order[key][: len(value)] == value

    def _depend(self, key: Any) -> None:
        order = self.order.get(key, [])
        by = [self.writer.get((key, e)) for e in order]
        unread = [t for t in self.alive for _, k, e in t.writes() if k == key and e not in order]
        for a, b in pairwise(by):
            self.link(a, b, "ww")
        for t in unread:
            self.link(by[-1] if by else None, t, "ww")
        for t, _, k, value in self.reads:
            if k != key or not self.prefix(key, value):
                continue
            if value:
                self.link(by[len(value) - 1], t, "wr")
            for after in [by[len(value)]] if len(value) < len(order) else unread:
                self.link(t, after, "rw")

    def findings(self) -> set[str]:
        found = self.cycles()
        for t, _, k, value in self.reads:
            if not self.prefix(k, value):
                found.add("incompatible-order")
            if len(set(value)) < len(value):
                found.add("duplicate-elements")
            for e in value:
                writer = self.writer.get((k, e))
                if writer is None:
                    found.add("phantom")
                elif writer.status == "fail":
                    found.add(aborted(t, writer))
            if value and self.prefix(k, value):
                writer = self.writer.get((k, value[-1]))
                if writer is not None and writer is not t and writer.last_write(k) != value[-1]:
                    found.add("G1b")
        for t in self.txns:
            if t.status == "ok":
                found |= set(self._own(t))
        if self._dirty():
            found.add("dirty-update")
        if self.lost_updates():
            found.add("lost-update")
        return found

    def _own(self, t: Txn) -> Iterator[str]:
        state: dict[Any, tuple[bool, list[Any]]] = {}
        for f, k, value in t.mops:
            whole, expected = state.get(k, (False, []))
            if f != "r":
                state[k] = (whole, [*expected, value])
                continue
            seen = value or []
            tail = seen[len(seen) - len(expected) :] if len(seen) >= len(expected) else None
            if seen != expected if whole else tail != expected:
                yield "internal"
            state[k] = (True, seen)
        for i, k, value in t.reads():
            later = [v for j, key, v in t.writes() if key == k and j > i]
            if self.prefix(k, value or []) and any(v in (value or []) for v in later):
                yield "future-read"

    def _dirty(self) -> bool:
        for key, order in self.order.items():
            dirty = False
            for e in order:
                writer = self.writer.get((key, e))
                if writer is not None and writer.status == "fail":
                    dirty = True
                elif writer is not None and writer.status == "ok" and dirty:
                    return True
        return False


#: (level, which of the later one's versions are bound, which of the earlier one's bind)
SCOPES = {"writes": ("write", "write"), "onto": ("met", "write"), "all": ("met", "met")}


class RwRegister(Base):
    """Version orders as sets of pairs, under what is assumed, and what the model implies: for
    wfr whether, for process and real time a scope of SCOPES."""

    def __init__(
        self,
        ops: list[Op],
        assume: tuple[str, ...],
        wfr: bool = False,
        process: str = "",
        realtime: str = "",
    ) -> None:
        super().__init__(ops)
        self.orders()
        self.cyclic = self.implied_cyclic = False
        self.implied = (wfr and "wfr" not in assume, process, realtime)
        if "sequential" in assume:
            self.implied = (self.implied[0], "", realtime)
        if "linearizable" in assume:
            self.implied = (self.implied[0], "", "")
        for key in {k for t in self.txns for _, k, _ in t.mops}:
            self._depend(key, assume)

    def _final(self, key: Any, value: Any) -> bool:
        writer = self.writer.get((key, value))
        return writer is not None and writer.status != "fail" and writer.last_write(key) == value

    def _met(self, t: Txn, key: Any) -> list[Any]:
        """Versions with a place in the order that a transaction met of a key from outside, or
        left behind; nil is "nil"."""
        read, value = t.outside(key)
        met = []
        if read and value != t.last_write(key) and (value is None or self._final(key, value)):
            met.append("nil" if value is None else value)
        if read and value is None and t.last_write(key) is None:
            met = ["nil"]
        return met + self._wrote(t, key)

    def _wrote(self, t: Txn, key: Any) -> list[Any]:
        return [] if t.last_write(key) is None else [t.last_write(key)]

    def _pairs(self, key: Any, scope: str, same: bool) -> set[tuple[Any, Any]]:
        """The order of versions that a process's order, or real time, implies."""
        low, up = ({"met": self._met, "write": self._wrote}[part] for part in SCOPES[scope])
        pairs: set[tuple[Any, Any]] = set()
        for a, b in product(self.alive, repeat=2):
            before = a.status == "ok" and a.end is not None and a.end < b.begin
            if before and (not same or a.process == b.process):
                pairs |= set(product(low(a, key), up(b, key)))
        return {(v, w) for v, w in pairs if v != w}

    def _depend(self, key: Any, assume: tuple[str, ...]) -> None:
        visitors = [t for t in self.alive if self._met(t, key)]
        own = {tuple(self._met(t, key)) for t in visitors if len(self._met(t, key)) == 2}
        pairs: set[tuple[Any, Any]] = set()
        if any("nil" in self._met(t, key) for t in visitors):
            pairs |= {("nil", w) for t in visitors for w in self._wrote(t, key)}
        pairs |= own if "wfr" in assume else set()
        for name, same in (("sequential", True), ("linearizable", False)):
            pairs |= self._pairs(key, "all", same) if name in assume else set()
        on_cycle = cyclic(pairs)
        self.cyclic |= bool(on_cycle)
        order: dict[Any, Any] = dict.fromkeys(pairs - on_cycle, (0, True))
        if not on_cycle:
            wfr, process, realtime = self.implied
            if wfr:
                self._add(order, own, 0, False)
            for scope, level in ((process, 1), (realtime, 2)):
                for each in ("writes", scope) if scope else ():
                    self._add(order, self._pairs(key, each, level == 1), level, True)
        for (v, w), (level, ww) in order.items():
            if ww:
                self.link(self.writer.get((key, v)), self.writer.get((key, w)), "ww", level)
            for t in visitors:
                if self._met(t, key)[0] == v and t.outside(key)[0] and v != t.last_write(key):
                    self.link(t, self.writer.get((key, w)), "rw", level)
        for t in self.alive:
            read, value = t.outside(key)
            if read and value is not None:
                self.link(self.writer.get((key, value)), t, "wr")

    def _add(self, order: dict[Any, Any], pairs: set[Any], level: int, ww: bool) -> None:
        """Pairs that the model implies; where they contradict what is there, nothing more is
        certain than that the model is broken."""
        self.implied_cyclic |= bool(cyclic(set(order) | pairs))
        for pair in pairs:
            order.setdefault(pair, (level, ww))

    def readable(self, key: Any, value: Any) -> bool:
        return value is None or (key, value) in self.writer

    def unrepeatable(self) -> set[str]:
        """G-single where a transaction read two versions of others, one right after the other:
        in either order of the two, one edge leads from it to the later one's writer or to what
        is between, and that writer, or a later one, leads back."""

        def foreign(t: Txn, key: Any, value: Any) -> bool:
            writer = self.writer.get((key, value))
            return value is None or (writer is not t and self._final(key, value))

        for t in self.txns:
            for key in {k for _, k, _ in t.mops} if t.status == "ok" else ():
                own = [(f, value) for f, k, value in t.mops if k == key]
                for (f, v), (g, w) in pairwise(own):
                    both = f == g == "r" and foreign(t, key, v) and foreign(t, key, w)
                    if both and v != w:
                        return {"G-single"}
        return set()

    def findings(self) -> set[str]:
        found = self.cycles()
        if self.cyclic:
            found.add("cyclic-versions")
        for t in self.txns:
            for i, k, value in t.reads():
                writer = self.writer.get((k, value))
                if value is None:
                    continue
                if writer is None:
                    found.add("phantom")
                elif writer.status == "fail":
                    found.add(aborted(t, writer))
                elif writer is not t and writer.last_write(k) != value:
                    found.add("G1b")
                if any(key == k and v == value and j > i for j, key, v in t.writes()):
                    found.add("future-read")
            state: dict[Any, Any] = {}
            for f, k, value in t.mops if t.status == "ok" else []:
                if f == "r" and k in state and state[k] != value:
                    found.add("internal")
                state[k] = value
        if self.lost_updates():
            found.add("lost-update")
        return found
