"""The models after Jepsen's checkers, by docs/checkers.md: brute force over lists of events.

Each gives anomaly -> how often it is there."""

from __future__ import annotations

from collections import Counter
from itertools import chain, combinations, permutations
from typing import Any

from dynamesis.checkers.history.history import Op

NEVER = 10**9


class Paired:
    """Events with the row at which each operation ended, if it did, and how."""

    def __init__(self, ops: list[Op]) -> None:
        self.ops = ops
        self.end: dict[int, int] = {}
        waiting: dict[object, int] = {}
        for i, op in enumerate(ops):
            if op.type == "invoke":
                waiting[op.process] = i
            else:
                self.end[waiting.pop(op.process)] = i

    def invoked(self, f: str) -> list[int]:
        return [i for i, op in enumerate(self.ops) if op.type == "invoke" and op.f == f]

    def outcome(self, i: int) -> str:
        return self.ops[self.end[i]].type if i in self.end else "info"

    def reads(self) -> list[tuple[int, int, Any]]:
        """(begin, end, value) of each read that succeeded."""
        return [
            (i, self.end[i], self.ops[self.end[i]].value)
            for i in self.invoked("read")
            if self.outcome(i) == "ok"
        ]


class Sets(Paired):
    """Elements that are added once, and read all together."""

    def __init__(self, ops: list[Op]) -> None:
        super().__init__(ops)
        self.add = {ops[i].value: i for i in self.invoked("add")}

    def acknowledged(self, element: int) -> int:
        i = self.add.get(element, -1)
        return self.end[i] if i >= 0 and self.outcome(i) == "ok" else NEVER

    def strange(self, reads: list[tuple[int, int, list[int]]]) -> Counter[str]:
        """What these reads show and cannot have."""
        found: Counter[str] = Counter()
        for _, end, shown in reads:
            for element in shown:
                begun = element in self.add and self.add[element] < end
                refused = element in self.add and self.outcome(self.add[element]) == "fail"
                if begun:
                    found["aborted-read"] += refused
                elif element in self.add and not refused:
                    found["future-read"] += 1
                else:
                    found["phantom"] += 1
            found["duplicate-elements"] += sum(n > 1 for n in Counter(shown).values())
        return +found

    def last(self) -> Counter[str]:
        """Model `set`: only the read that ended last."""
        begin, end, shown = max(self.reads(), key=lambda read: read[1])
        lost = [e for e in self.add if self.acknowledged(e) < begin and e not in shown]
        return +(Counter({"lost-element": len(lost)}) + self.strange([(begin, end, shown)]))

    def full(self, linearizable: bool) -> Counter[str]:
        """Model `set-full`: every read, from when an element was known."""
        reads = self.reads()
        found = self.strange(reads)
        for element in {*self.add, *chain.from_iterable(shown for _, _, shown in reads)}:
            showing = [(begin, end) for begin, end, shown in reads if element in shown]
            known = self.acknowledged(element)
            if element in self.add and self.outcome(self.add[element]) != "fail":
                ends = [end for _, end in showing if end > self.add[element]]
                known = min([known, *ends])
            lacking = [b for b, _, shown in reads if b > known and element not in shown]
            if lacking and all(begin < max(lacking) for begin, _ in showing):
                found["lost-element"] += 1
            elif lacking and linearizable:
                found["stale-read"] += 1
        return +found


def counter(ops: list[Op]) -> int:
    """How many reads lie beyond every sum that any choice of uncertain adds gives."""
    paired, wrong = Paired(ops), 0
    for begin, end, value in paired.reads():
        adds = [i for i in paired.invoked("add") if paired.outcome(i) != "fail" and i < end]
        certain = [i for i in adds if paired.outcome(i) == "ok" and paired.end[i] < begin]
        unsure = [i for i in adds if i not in certain]
        sums = [
            sum(ops[i].value for i in [*certain, *chosen])
            for n in range(len(unsure) + 1)
            for chosen in combinations(unsure, n)
        ]
        wrong += not min(sums) <= value <= max(sums)
    return wrong


def first_total(ops: list[Op], accounts: set[str]) -> int | None:
    """What the read of whole balances that ended first adds up to."""
    for _, _, balances in sorted(Paired(ops).reads(), key=lambda read: read[1]):
        if set(balances) <= accounts and None not in balances.values():
            return sum(balances.values())
    return None


def bank(ops: list[Op], accounts: set[str], total: int | None, may_owe: bool) -> Counter[str]:
    """Each read by the first thing that is wrong with it."""
    found: Counter[str] = Counter()
    for _, _, balances in Paired(ops).reads():
        if not set(balances) <= accounts:
            found["unexpected-key"] += 1
        elif None in balances.values():
            found["nil-balance"] += 1
        elif total is not None and sum(balances.values()) != total:
            found["wrong-total"] += 1
        elif not may_owe and any(balance < 0 for balance in balances.values()):
            found["negative-value"] += 1
    return found


def has_long_fork(ops: list[Op]) -> bool:
    """Did two reads of the same keys see two writes in opposite orders?"""
    seen = [
        {key: value is not None for _, key, value in op.value}
        for op in ops
        if op.type == "ok" and all(f == "r" for f, _, _ in op.value)
    ]
    return any(
        any(one[x] and not other[x] for x in one.keys() & other)
        and any(other[y] and not one[y] for y in one.keys() & other)
        for one, other in permutations(seen, 2)
    )


def impossible_reads(ops: list[Op]) -> Counter[str]:
    """What transactions read of keys that were not written, or in vain, or not yet; nothing
    where the history has no writes at all."""
    paired = Paired(ops)
    written = {
        op.value[0][1]: i
        for i, op in enumerate(ops)
        if op.type == "invoke" and op.value[0][0] == "w"
    }
    found: Counter[str] = Counter()
    if not written:
        return found
    for i, op in enumerate(ops):
        for f, key, value in op.value if op.type == "ok" else ():
            if f == "w" or value is None:
                continue
            write = written.get(key, NEVER)
            failed = write < NEVER and paired.outcome(write) == "fail"
            if write > i:
                found["future-read" if write < NEVER and not failed else "phantom"] += 1
            else:
                found["aborted-read"] += failed
    return +found


def repeated(ops: list[Op]) -> int:
    """How many generated ids had been generated before."""
    given = [op.value for op in ops if op.type == "ok"]
    return sum(value in given[:i] for i, value in enumerate(given))


class Queues(Paired):
    """Values that are enqueued and delivered, by counting: each count from its definition."""

    def deliveries(self) -> list[tuple[int, int, int, Any]]:
        """(begin, end, place, value) of all that was given, by end."""
        found = []
        for i in [*self.invoked("dequeue"), *self.invoked("drain")]:
            if self.outcome(i) == "ok":
                shown = self.ops[self.end[i]].value
                if self.ops[i].f == "dequeue":
                    shown = [] if shown is None else [shown]
                found += [(i, self.end[i], place, value) for place, value in enumerate(shown)]
        return sorted(found, key=lambda d: d[1:3])

    def sent(self, value: Any) -> list[int]:
        """The enqueues of a value that may have happened."""
        every = self.invoked("enqueue")
        return [i for i in every if self.ops[i].value == value and self.outcome(i) != "fail"]

    def strange(self) -> Counter[str]:
        """Deliveries that only a most generous matching cannot distinguish from others."""
        found: Counter[str] = Counter()
        taken: Counter[Any] = Counter()
        for _, end, _, value in self.deliveries():
            possible = sum(i < end for i in self.sent(value))
            if possible == 0:
                found["unexpected"] += 1
            elif taken[value] == possible:
                found["duplicated"] += 1
            else:
                taken[value] += 1
        return +found

    def surely_lost(self) -> int:
        """How many values must have been lost, at least; and 0 where nothing shows it."""
        given = self.deliveries()
        ends = [i for i in self.invoked("drain") if self.outcome(i) == "ok"]
        for i in self.invoked("dequeue"):
            shown = self.outcome(i) == "ok" and self.ops[self.end[i]].value is None
            if shown and not any(
                self.ops[begin].f == "dequeue" and end > i for begin, end, _, _ in given
            ):
                ends.append(i)
        if not ends:
            return 0
        last = max(ends)
        open_drains = [i for i in self.invoked("drain") if self.outcome(i) == "info"]
        if any(i < self.end[last] for i in open_drains):
            return 0
        takers = sum(
            self.outcome(i) == "info" and i < self.end[last] for i in self.invoked("dequeue")
        )
        missing = 0
        for value in {d[3] for d in given} | {self.ops[i].value for i in self.invoked("enqueue")}:
            before = [i for i in self.sent(value) if self.end.get(i, NEVER) < last]
            done = sum(self.outcome(i) == "ok" for i in before)
            missing += max(0, done - sum(d[3] == value for d in given))
        return max(0, missing - takers)

    def reordered(self) -> int:
        """Earlier values of a process that came out after a later one of it."""
        given = self.deliveries()
        single: dict[int, tuple[int, int, int, Any]] = {}
        for i in self.invoked("enqueue"):
            of_value = [d for d in given if d[3] == self.ops[i].value]
            once = len(of_value) == len(self.sent(self.ops[i].value)) == 1
            if once and self.outcome(i) != "fail" and i < of_value[0][1]:
                single[i] = of_value[0]
        return sum(
            any(
                self.ops[i].process == self.ops[j].process
                and i < j
                and (b[2] < a[2] if b[1] == a[1] else b[1] < a[0])
                for j, b in single.items()
            )
            for i, a in single.items()
        )
