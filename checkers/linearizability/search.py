"""Is there an order of these operations that respects real time? By search.

For one object whose values may repeat: a state, and operations that read it, set it, exchange
it (if it is `before`, make it `after`), or extend it. Just-in-time linearization (Lowe, Testing for
linearizability, 2017, after Wing and Gong, 1993) with memory of the configurations seen: the
history is read event by event, and only when an operation returns is it put into the order, by
every sequence of open operations that ends in it. A *configuration* is the state and the
operations that are open and in the order. What loses no order and keeps them few:

- a read is put into the order as soon as the state is what it saw: it changes nothing;
- a write that the next one of the order hides from all reads may come right before that
  one. Which of them do need not be tried: a write (or an extension) that was open when a write was
  put into the order is *free* from then on, and may return without a place of its own;
- a write has a place of its own only for an open read or exchange that wants what it wrote, or
  because it returns without being free;
- of equal operations that are open, the one that returns first comes first;
- an operation of unknown outcome never returns; it is put into the order only where what it
  makes is wanted, and of two configurations that differ in this alone, the one that spent fewer
  is kept.

The search is *thrifty* at first: it puts operations of unknown outcome into the order only where
nothing continues without, and keeps few configurations. So it may miss an order. Where it
gets stuck it goes back, some events, then ever further, and does that part without thrift; only
what was searched without thrift from the beginning counts as without an order.

The time is O(n c p) for c configurations and p open operations; c is small where writes are
read, and may be exponential in p. So there is a budget, of configurations visited.
"""

from __future__ import annotations

from bisect import insort
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from heapq import heappop, heappush
from typing import Any

from dynamesis.checkers.graph.causality import NEVER
from dynamesis.checkers.linearizability.acts import (
    EXCHANGE,
    READ,
    WRITE,
    Act,
    Config,
    Outcome,
    Path,
    Stuck,
    bits,
    copied,
    first_open,
    order_of,
)
from dynamesis.checkers.linearizability.dominance import undominated

#: configurations that are visited for one key before the search is given up
BUDGET = 200_000
#: events between two saves, and by which a thrifty search that is stuck goes back first
_WINDOW = 8
#: configurations that a thrifty search keeps: those that spent the fewest steps of unknown outcome
_KEPT = 32
#: what a search changes, beside its configurations
_CHANGING = (
    *("_bit", "_step_of", "_slots", "_reads", "_writes", "_extends", "_exchanges"),
    *("_hidable", "_unknown", "_read_bits"),
)


class _Exhausted(Exception):
    pass


def search(
    steps: Sequence[Act],
    initial: int,
    budget: int = BUDGET,
    extend: Callable[[int, int], int | None] | None = None,
) -> Outcome:
    """Is there an order? `extend(state, added)` is the state after an EXTEND, None where it would
    be in vain; `budget` the configurations that may be visited."""
    return _Search(steps, initial, budget, extend).run()


@dataclass(frozen=True)
class _Saved:
    """All that a search needs to continue from an event."""

    at: int
    configs: dict[Config, Path]
    fields: dict[str, Any]


class _Search:
    """One search, of which parts are done again where it was too thrifty."""

    def __init__(
        self,
        steps: Sequence[Act],
        initial: int,
        budget: int,
        extend: Callable[[int, int], int | None] | None,
    ) -> None:
        self._steps, self._budget, self._extend = steps, budget, extend
        self._thrifty = any(s.end >= NEVER and s.kind != READ for s in steps)
        self._configs: dict[Config, Path] = {(initial, 0, 0): None}
        self._visited = self._most = 0
        self._bit: dict[int, int] = {}
        self._step_of: dict[int, int] = {}
        self._slots: list[int] = []
        #: value -> the open reads of it, as bits
        self._reads: defaultdict[int, int] = defaultdict(int)
        #: what is done -> the open steps that do it, (end, bit), by end
        self._writes: defaultdict[int, list[tuple[int, int]]] = defaultdict(list)
        self._extends: defaultdict[int, list[tuple[int, int]]] = defaultdict(list)
        #: before -> after -> the same
        self._exchanges: defaultdict[int, dict[int, list[tuple[int, int]]]] = defaultdict(dict)
        #: bits: of steps that a write can hide, of unknown outcome, of reads
        self._hidable = self._unknown = self._read_bits = 0
        self._needed = self._last_wanted()

    def run(self) -> Outcome:
        """Search to the end, to where no order continues, or to the budget."""
        try:
            stuck = self._run()
        except _Exhausted:
            return Outcome(None, True, self._visited, self._most)
        return Outcome(stuck, False, self._visited, self._most)

    def _run(self) -> Stuck | None:
        """Thrifty at first; where that gets stuck, without thrift from ever further back. Stuck for
        good only where it was not thrifty from the beginning."""
        events = list(self._events())
        saves = [self._saved(0)]
        uncertain, began, until, back = self._thrifty, 0, -1, _WINDOW
        at = 0
        while at < len(events):
            number, returns = events[at]
            if uncertain and at > until and not self._thrifty:
                self._thrifty, back = True, _WINDOW
            if uncertain and at % _WINDOW == 0 and at > saves[-1].at:
                saves.append(self._saved(at))
            at += 1
            if not returns:
                self._call(number)
                continue
            stuck = self._return(number)
            if stuck is None:
                continue
            if not self._thrifty and began == 0:
                return stuck
            until, began = at - 1, self._go_back(saves, at - back)
            at, back, self._thrifty = began, 4 * back, False
        return None

    def _saved(self, at: int) -> _Saved:
        return _Saved(at, self._configs, {n: copied(getattr(self, n)) for n in _CHANGING})

    def _go_back(self, saves: list[_Saved], at: int) -> int:
        """Restore the last save before an event; which event that is."""
        while saves[-1].at > max(at, 0):
            saves.pop()
        self._configs = saves[-1].configs
        for name, value in saves[-1].fields.items():
            setattr(self, name, copied(value))
        return saves[-1].at

    def _events(self) -> Iterator[tuple[int, bool]]:
        events = [(s.begin, number, False) for number, s in enumerate(self._steps)]
        events += [(s.end, number, True) for number, s in enumerate(self._steps) if s.end < NEVER]
        events.sort()
        return ((number, returns) for _, number, returns in events)

    def _last_wanted(self) -> dict[int, int]:
        """By state: until when something may want it."""
        last: dict[int, int] = {}
        for s in self._steps:
            if s.kind in (READ, EXCHANGE):
                last[s.before] = max(last.get(s.before, -1), s.end)
        return last

    def _call(self, number: int) -> None:
        """The step is open from now on."""
        s = self._steps[number]
        if s.end >= NEVER and not self._extend and self._needed.get(s.after, -1) < s.begin:
            return  # nothing that ends later wants what it makes
        slot = heappop(self._slots) if self._slots else len(self._bit)
        bit = self._bit[number] = 1 << slot
        self._step_of[bit] = number
        if s.kind == READ:
            self._reads[s.before] |= bit
            self._read_bits |= bit
            self._configs = {
                (c[0], c[1] | bit, c[2]) if c[0] == s.before else c: (
                    (number, False, path) if c[0] == s.before else path
                )
                for c, path in self._configs.items()
            }
            return
        insort(self._class_of(s), (s.end, bit))
        if s.end >= NEVER:
            self._unknown |= bit
        elif s.kind != EXCHANGE:
            self._hidable |= bit

    def _class_of(self, s: Act) -> list[tuple[int, int]]:
        """The open steps that do the same."""
        if s.kind == EXCHANGE:
            return self._exchanges[s.before].setdefault(s.after, [])
        return (self._writes if s.kind == WRITE else self._extends)[s.after]

    def _forget(self, number: int) -> None:
        """The step's place in the order is final: its bit is given to another."""
        s, bit = self._steps[number], self._bit.pop(number)
        del self._step_of[bit]
        heappush(self._slots, bit.bit_length() - 1)
        if s.kind == READ:
            self._reads[s.before] &= ~bit
            if not self._reads[s.before]:
                del self._reads[s.before]
            self._read_bits &= ~bit
            return
        alike = self._class_of(s)
        alike.remove((s.end, bit))
        if not alike:
            if s.kind == EXCHANGE:
                del self._exchanges[s.before][s.after]
                if not self._exchanges[s.before]:
                    del self._exchanges[s.before]
            else:
                del (self._writes if s.kind == WRITE else self._extends)[s.after]
        self._hidable &= ~bit
        self._unknown &= ~bit

    def _return(self, number: int) -> Stuck | None:
        bit = self._bit[number]
        after: dict[Config, Path] = {}
        before: dict[Config, Path] = {}
        for config, path in self._configs.items():
            state, used, free = config
            if used & bit:
                after[state, used & ~bit, free] = path
                continue
            if free & bit:
                after.setdefault((state, used, free & ~bit), (number, True, path))
            before[config] = path
        if before:
            if self._thrifty and self._unknown:
                self._explore(before, number, after, self._unknown)
            if not after or not self._thrifty:
                self._explore(before, number, after)
        if not after:
            return self._stuck(number)
        self._forget(number)
        self._configs = self._kept(after)
        self._visited += len(self._configs) - 1
        self._most = max(self._most, len(self._configs))
        return None

    def _explore(
        self, start: dict[Config, Path], number: int, after: dict[Config, Path], barred: int = 0
    ) -> None:
        """Add to `after` what every sequence of open steps that ends in this one leads to; none
        of `barred`."""
        bit = self._bit[number]
        seen = set(start)
        todo = list(start.items())
        while todo:
            config, path = todo.pop()
            self._visited += 1
            if self._visited > self._budget:
                raise _Exhausted
            for chosen, following in self._following(config, number, barred):
                longer = self._longer(path, chosen, following[1] & ~config[1])
                state, used, free = following
                if used & bit:
                    after.setdefault((state, used & ~bit, free), longer)
                elif following not in seen:
                    seen.add(following)
                    todo.append((following, longer))

    def _following(self, config: Config, number: int, barred: int) -> Iterator[tuple[int, Config]]:
        """The open steps that may come next, and what they lead to. `number`: the one that must."""
        state, used, _ = config
        closed = used | barred
        wanted = self._wanted(closed)
        for after, alike in self._exchanges.get(state, {}).items():
            bit = first_open(alike, closed)
            if bit and (not bit & self._unknown or after in wanted):
                yield self._step_of[bit], self._made(after, used | bit, config[2])
        last = self._steps[number]
        values = wanted if last.kind != WRITE else {*wanted, last.after}
        for value in values:
            bit = first_open(self._writes.get(value, ()), closed)
            if bit:
                free = self._hidable & ~used & ~bit
                yield self._step_of[bit], self._made(value, used | bit, free)
        for added, alike in self._extends.items():
            bit = first_open(alike, closed)
            longer = self._extend(state, added) if bit and self._extend else None
            if longer is not None:
                yield self._step_of[bit], self._made(longer, used | bit, config[2])

    def _longer(self, path: Path, chosen: int, new: int) -> Path:
        """The path with this step, and with the reads that it lets into the order."""
        path = (chosen, False, path)
        for bit in bits(new & self._read_bits):
            path = (self._step_of[bit], False, path)
        return path

    def _made(self, state: int, used: int, free: int) -> Config:
        return state, used | self._reads.get(state, 0), free & ~used

    def _wanted(self, used: int) -> set[int]:
        """The states that an open read or exchange waits for."""
        wanted = {value for value, bits in self._reads.items() if bits & ~used}
        for before, by_after in self._exchanges.items():
            if before not in wanted and any(first_open(alike, used) for alike in by_after.values()):
                wanted.add(before)
        if self._extends:
            wanted |= self._writes.keys()
        return wanted

    def _kept(self, configs: dict[Config, Path]) -> dict[Config, Path]:
        """Without those that another makes superfluous, and without steps of unknown outcome that
        all have spent."""
        if len(configs) > 1:
            configs = undominated(configs, self._read_bits, self._unknown)
        if self._thrifty and len(configs) > _KEPT:
            fewest = sorted(configs, key=lambda c: (c[1] & self._unknown).bit_count())
            configs = {config: configs[config] for config in fewest[:_KEPT]}
        common = self._unknown
        for _, used, _ in configs:
            common &= used
            if not common:
                return configs
        for bit in bits(common):
            self._forget(self._step_of[bit])
        return {(s, used & ~common, free): path for (s, used, free), path in configs.items()}

    def _stuck(self, number: int) -> Stuck:
        states: dict[int, tuple[int, ...]] = {}
        for (state, _, _), path in self._configs.items():
            if state not in states:
                states[state] = order_of(path, self._steps)
        return Stuck(number, tuple(states.items()), tuple(sorted(self._bit)))
