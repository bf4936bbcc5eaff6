"""Lists that are appended to, each by one client and read by all.

A store that keeps siblings gives no order to the appends of several clients, so each list
has one writer: its client knows the whole list, and every put carries all of it, together
with what earlier puts left in doubt. Whatever a correct store answers is then a prefix of
the list as it will be: old perhaps, never another one. With one operation a transaction
that is a list-append history, and Elle's checker judges it (Kingsbury and Alvaro 2020).
Catches lists that are cut or mixed up (incompatible-order), appends that were refused and
are read (G1a), and those that were acknowledged and are gone (lost-append).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec
from dynamesis.checkers.elle.elle import check_list_append
from dynamesis.checkers.graph.run import Run
from dynamesis.checkers.history.history import History
from dynamesis.checkers.history.op import Op
from dynamesis.checkers.verdict import Anomaly, CheckerResult, judge
from dynamesis.harness.generators import Rng
from dynamesis.harness.generators.distributions import Weighted
from dynamesis.workloads.base import DISTRIBUTION, REQUEST_OPTIONS, Load, Option, Workload
from dynamesis.workloads.check_helpers import WriteOp, final_merges, owed_writes, own_check
from dynamesis.workloads.script.script import Script

Elements = tuple[int, ...]


class Own(msgspec.Struct, frozen=True):
    """What a client knows of its list: all that may be in it, the number of appends begun,
    and the completion whose context is newest."""

    elements: Elements = ()
    begun: int = 0
    basis: int | None = None


class Appending(msgspec.Struct, frozen=True):
    """`mine`: the key of the list that this client appends to, None for a mere reader;
    `largest`: elements of a list that is no longer appended to."""

    rng: Rng
    keys: Weighted[str]
    mine: str | None
    appends: float
    largest: int
    own: Own = Own()
    serial: int = 0

    def next(self, process: int, last: Op | None, now: int = 0) -> tuple[Op, Script]:
        """Read some list, or append to the client's own."""
        script = msgspec.structs.replace(self, own=self._learned(last))
        append, rng = self.rng.chance(self.appends)
        if append and self.mine is not None and len(self.own.elements) < self.largest:
            return msgspec.structs.replace(script, rng=rng)._append(process, self.mine)
        key, rng = self.keys.pick(rng)
        return Op(f="get", key=key), msgspec.structs.replace(script, rng=rng)

    def _learned(self, last: Op | None) -> Own:
        """A refused append is not in the list, and one in doubt may be. An answer about the
        list brings a newer context, unless a read was older than what its writer knows."""
        if last is None or last.key != self.mine:
            return self.own
        if last.type == "fail" and last.f == "put":
            return msgspec.structs.replace(self.own, elements=self.own.elements[:-1])
        stale = last.f == "get" and not self._complete(last)
        if last.type != "ok" or stale:
            return self.own
        return msgspec.structs.replace(self.own, basis=last.index)

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
        own = msgspec.structs.replace(self.own, elements=longer, begun=number)
        return op, msgspec.structs.replace(self, own=own, serial=self.serial + 1)


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


def as_transactions(history: History) -> History:
    """The same history as model list-append sees it, event for event: a put is a transaction
    that appends, a get one that reads. Of several siblings it reads the longest list: the
    others, if they are right, are beginnings of it."""
    begun: dict[int | str, Op] = {}
    return History.of((_transaction(op, begun) for op in history.ops()), history.path)


def _transaction(op: Op, begun: dict[int | str, Op]) -> Op:
    if op.f not in ("put", "get") or not isinstance(op.process, int):
        return Op(op.index, op.time, "info", "harness", "note")
    if op.type == "invoke":
        begun[op.process] = op
    first = begun[op.process]
    if first.f == "put":
        value = first.value.get("append") if isinstance(first.value, dict) else None
        done: list[object] = ["append", first.key, value]
    else:
        lists: list[Elements] = [
            (),
            *(elements(s.value) for s in op.siblings or () if not s.deleted),
        ]
        longest = sorted(lists, key=len)[-1]
        done = ["r", first.key, list(longest) if op.type == "ok" else None]
    return Op(op.index, op.time, op.type, op.process, "txn", value=[done], error=op.error)


@own_check
def check_append(run: Run) -> CheckerResult:
    """The lists read must come of one order of appends, and the final ones lack nothing that
    was acknowledged. Serializable, as Elle has it, and no more: a store that answers with
    old lists gives neither process order nor real time."""
    history = run.history
    elle = check_list_append(as_transactions(history), ("serializable",))
    appends: dict[str, list[WriteOp]] = {}
    for write in owed_writes(run):
        appends.setdefault(write.key, []).append(write)
    lost: list[Anomaly] = []
    for key, final in final_merges(run).items():
        kept = {element for value in final.values for element in elements(value)}
        lost += _lost(key, final.row, kept, appends.get(key, ()))
    return judge((*elle.anomalies, *lost), elle.reasons, elle.details, elle.more)


def _lost(key: str, row: int, kept: set[int], appends: Iterable[WriteOp]) -> Iterator[Anomaly]:
    for write in appends:
        element = write.value.get("append")
        if write.end == "ok" and element not in kept:
            why = (
                f"{element} was appended to {key} (index {write.row}, acknowledged); the final "
                f"read (index {row}) lacks it."
            )
            yield Anomaly("lost-append", why, key, (write.row, row))


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
        **REQUEST_OPTIONS,
    },
)
