"""Lists that are appended to, each by one client and read by all.

A store that keeps siblings gives no order to the appends of several clients, so each list
has one writer: its client knows the whole list, and every put carries all of it, together
with what earlier puts left in doubt. Whatever a correct store answers is then a prefix of
the list as it will be: old perhaps, never another one. Catches lists that are cut or
mixed up (incompatible-order), appends that were refused and are read (G1a), and those that
were acknowledged and are gone (lost-append); the anomalies have the names that Elle gives
them for list-append with one key a transaction (Kingsbury and Alvaro 2020).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from checkers.history import History
from checkers.op import Op
from checkers.pairing import OK
from checkers.verdict import Anomaly, Verdict, judge
from harness.generators import Rng
from harness.generators.distributions import Weighted

from .base import DISTRIBUTION, Load, Option, Workload
from .finals import Write, final_merges, own_check, writes
from .script import Script

Elements = tuple[int, ...]


@dataclass(frozen=True)
class Own:
    """What a client knows of its list: all that may be in it, the number of appends begun,
    and the completion whose context is newest."""

    elements: Elements = ()
    begun: int = 0
    basis: int | None = None


@dataclass(frozen=True)
class Appending:
    """`mine`: the key of the list that this client appends to, None for a mere reader;
    `largest`: elements of a list that is no longer appended to."""

    rng: Rng
    keys: Weighted[str]
    mine: str | None
    appends: float
    largest: int
    own: Own = field(default=Own())
    serial: int = 0

    def next(self, process: int, last: Op | None) -> tuple[Op, Script]:
        """Read some list, or append to the client's own."""
        script = replace(self, own=self._learned(last))
        append, rng = self.rng.chance(self.appends)
        if append and self.mine is not None and len(self.own.elements) < self.largest:
            return replace(script, rng=rng)._append(process, self.mine)
        key, rng = self.keys.pick(rng)
        return Op(f="get", key=key), replace(script, rng=rng)

    def _learned(self, last: Op | None) -> Own:
        """A refused append is not in the list, and one in doubt may be. An answer about the
        list brings a newer context, unless a read was older than what its writer knows."""
        if last is None or last.key != self.mine:
            return self.own
        if last.type == "fail" and last.f == "put":
            return replace(self.own, elements=self.own.elements[:-1])
        stale = last.f == "get" and not self._complete(last)
        if last.type != "ok" or stale:
            return self.own
        return replace(self.own, basis=last.index)

    def _complete(self, read: Op) -> bool:
        shown = [elements(s.value) for s in read.siblings or ()]
        return self.own.elements in shown

    def _append(self, process: int, key: str) -> tuple[Op, Script]:
        number = self.own.begun + 1
        longer = (*self.own.elements, number)
        op = Op(
            f="put",
            key=key,
            id=f"{process}.{self.serial}",
            value={"append": number, "list": list(longer)},
            basis=self.own.basis,
        )
        own = replace(self.own, elements=longer, begun=number)
        return op, replace(self, own=own, serial=self.serial + 1)


def elements(value: object) -> Elements:
    """The list in a version's value; none of a value that holds no list."""
    found = value.get("list") if isinstance(value, dict) else None
    return tuple(e for e in found if isinstance(e, int)) if isinstance(found, list) else ()


def _script(load: Load) -> Script:
    return Appending(
        load.rng,
        load.distribution(),
        load.keys[load.thread] if load.thread < len(load.keys) else None,
        load.number("appends"),
        int(load.options["largest"]),
    )


def transactions(history: History) -> Iterator[tuple[int, str, Elements]]:
    """What every get showed as list-append sees it: (row, key, list), one for each sibling
    that stands."""
    for row in np.flatnonzero((history.kind == OK) & history.rows("get")).tolist():
        key = history.keys[history.key_of[row]]
        for sibling in history.siblings(row):
            if not sibling.deleted:
                yield row, key, elements(sibling.value)


@own_check
def check_append(history: History) -> Verdict:
    """Every list read is a prefix of the longest; none holds what was refused; the final
    one lacks nothing that was acknowledged."""
    reads: dict[str, list[tuple[int, Elements]]] = {}
    for row, key, shown in transactions(history):
        reads.setdefault(key, []).append((row, shown))
    longest = {key: max(of_key, key=lambda r: len(r[1])) for key, of_key in reads.items()}
    appends: dict[str, list[Write]] = {}
    for write in writes(history):
        appends.setdefault(write.key, []).append(write)
    found: list[Anomaly] = []
    for key, of_key in reads.items():
        found += _incompatible(key, longest[key], of_key)
        found += _aborted(key, of_key, appends.get(key, ()))
    for key, final in final_merges(history).items():
        kept = {element for value in final.values for element in elements(value)}
        found += _lost(key, final.row, kept, appends.get(key, ()))
    return judge(found, (), {"lengths": {key: len(list_) for key, (_, list_) in longest.items()}})


def _incompatible(
    key: str, longest: tuple[int, Elements], reads: Iterable[tuple[int, Elements]]
) -> Iterator[Anomaly]:
    row, whole = longest
    for other, shown in reads:
        if shown != whole[: len(shown)]:
            why = (
                f"index {other} read {key} as {_ends(shown)}, which is no prefix of "
                f"{_ends(whole)}, read at index {row}: there is no order of appends to give both."
            )
            yield Anomaly("incompatible-order", why, key, tuple(sorted({row, other})))


def _aborted(
    key: str, reads: Iterable[tuple[int, Elements]], appends: Iterable[Write]
) -> Iterator[Anomaly]:
    refused = {w.value.get("append"): w for w in appends if w.end == "fail"}
    shown_first: Mapping[int, int] = {
        element: row for row, shown in reversed(list(reads)) for element in shown
    }
    for element, write in refused.items():
        if element in shown_first:
            row = shown_first[element]
            why = (
                f"index {row} read {element} in {key}, whose append (index {write.row}) "
                "was refused."
            )
            yield Anomaly("G1a", why, key, (write.row, row))


def _lost(key: str, row: int, kept: set[int], appends: Iterable[Write]) -> Iterator[Anomaly]:
    for write in appends:
        element = write.value.get("append")
        if write.end == "ok" and element not in kept:
            why = (
                f"{element} was appended to {key} (index {write.row}, acknowledged); the final "
                f"read (index {row}) lacks it."
            )
            yield Anomaly("lost-append", why, key, (write.row, row))


def _ends(shown: Elements) -> str:
    """A long list by its ends."""
    if len(shown) <= 12:
        return str(list(shown))
    first, last = (", ".join(map(str, part)) for part in (shown[:4], shown[-6:]))
    return f"[{first}, ..., {last}] ({len(shown)} elements)"


APPEND = Workload(
    name="append",
    description="lists with one writer each: catches lists that are cut or mixed up, and appends "
    "that are lost or were refused",
    script=_script,
    check=check_append,
    options={
        "distribution": DISTRIBUTION,
        "appends": Option(0.5, (0.0, 1.0), "share of a writer's operations that append"),
        "largest": Option(1000, (1, 100_000), "elements of a list that is no longer appended to"),
    },
)
