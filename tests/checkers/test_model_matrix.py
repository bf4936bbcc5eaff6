"""The canonical anomalies of the literature under every consistency model.

Each history is one anomaly (Adya 1999; Berenson et al. 1995; Bailis et al., HAT and RAMP; Cerone et
al. 2015) among concurrent transactions; beside it are the weakest models that forbid it. All that
imply one of these forbid it too; every other model allows it.
"""

from __future__ import annotations

import pytest
from dynamesis.checkers.elle.consistency import FORBIDS, IMPLIES, UNSEEN
from dynamesis.checkers.elle.elle import check_list_append, check_rw_register
from dynamesis.checkers.history.history import History, Op
from dynamesis.checkers.verdict import Verdict

Mop = list
#: models that forbid something that is looked for
MODELS = sorted({*FORBIDS} - {*UNSEEN})


def mop(word: str) -> Mop:
    """`ax1` append, `wx1` write, `rx12` the list [1, 2], `rx=1` a register, `rx` nothing there."""
    f, key, shown = word[0], word[1], word[2:]
    if f in "aw":
        return ["append" if f == "a" else "w", key, int(shown)]
    if shown.startswith("="):
        return ["r", key, int(shown[1:])]
    return ["r", key, [int(digit) for digit in shown] or None]


def concurrent(*txns: str) -> History:
    """Transactions of processes of their own, all begun before any ended."""
    mops = [[mop(word) for word in txn.split()] for txn in txns]
    asked = [[[f, k, None if f == "r" else v] for f, k, v in txn] for txn in mops]
    ops = [Op(process=i, type="invoke", f="txn", value=value) for i, value in enumerate(asked)]
    ops += [Op(process=i, type="ok", f="txn", value=value) for i, value in enumerate(mops)]
    return History.of(ops)


def forbidding(*weakest: str) -> set[str]:
    """These models, and all that imply one of them."""
    found = set(weakest)
    while more := {m for m, below in IMPLIES.items() if found & {*below}} - found:
        found |= more
    return found


SKEW = ("repeatable-read", "update-serializable")
CAUSALITY = ("causal-cerone", "consistent-view", "repeatable-read")
FRACTURED = ("consistent-view", "repeatable-read")

LISTS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "dirty write": (("ax1 ay1", "ax2 ay2", "rx12", "ry21"), ("read-uncommitted",)),
    "an element twice": (("ax1", "rx11"), ("read-uncommitted",)),
    "an element from nowhere": (("ax1", "rx17"), ("read-uncommitted",)),
    "orders that contradict": (("ax1", "ax2", "rx1", "rx2"), ("read-committed",)),
    "circular information": (("ax1 ry2", "ay2 rx1"), ("read-committed",)),
    "intermediate read": (("ax1 ax2", "rx1", "rx12"), ("read-committed",)),
    "lost update": (("rx ax1", "rx ax2", "rx12"), ("cursor-stability", "ROLA")),
    "lost update, one unread": (("rx ax1", "rx ax2", "rx1"), ("cursor-stability", "ROLA")),
    "observed, then vanished": (("ax1 ay1", "rx1 ry"), ("monotonic-atomic-view", *FRACTURED)),
    "fractured read": (("ax1 ay1", "ry rx1"), ("read-atomic", *FRACTURED)),
    "not its own append": (("ax1 rx2", "ax2"), ("read-atomic",)),
    "two reads that differ": (("rx1 rx", "ax1"), ("read-atomic", *FRACTURED)),
    "causality": (("ax1", "rx1 ay1", "ry1 rx"), CAUSALITY),
    "causality over a transaction": (("rx rz2", "ax1 ay1", "ry1 az2"), CAUSALITY),
    "long fork": (("ax1", "ay1", "rx1 ry", "rx ry1"), ("prefix", "repeatable-read")),
    "write skew": (("rx ay1", "ry ax1", "rx1 ry1"), SKEW),
    "write skew of three": (("rx ay1", "ry az1", "rz ax1", "rx1", "ry1", "rz1"), SKEW),
    "read-only anomaly": (("rx ry ax1", "ry ay2", "rx ry2", "rx1"), SKEW),
}

REGISTERS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "circular information": (("wx1 ry=2", "wy2 rx=1"), ("read-committed",)),
    "intermediate read": (("wx1 wx2", "rx=1"), ("read-committed",)),
    "lost update": (("rx wx1", "rx wx2"), ("cursor-stability", "ROLA")),
    "observed, then vanished": (("wx1 wy1", "rx=1 ry"), ("monotonic-atomic-view", *FRACTURED)),
    "fractured read": (("wx1 wy1", "ry rx=1"), ("read-atomic", *FRACTURED)),
    "not its own write": (("wx1 rx=2", "wx2"), ("read-atomic",)),
    "two reads that differ": (("rx=1 rx", "wx1"), ("read-atomic", *FRACTURED)),
    "causality": (("wx1", "rx=1 wy1", "ry=1 rx"), CAUSALITY),
    "causality over a transaction": (("rx rz=2", "wx1 wy1", "ry=1 wz2"), CAUSALITY),
    "long fork": (("wx1", "wy1", "rx=1 ry", "rx ry=1"), ("prefix", "repeatable-read")),
    "write skew": (("rx wy1", "ry wx1"), SKEW),
    "write skew of three": (("rx wy1", "ry wz1", "rz wx1"), SKEW),
    "read-only anomaly": (("rx ry wx1", "ry wy2", "rx ry=2"), SKEW),
}


@pytest.mark.parametrize("name", LISTS)
def test_what_each_model_forbids_of_lists(name: str) -> None:
    txns, weakest = LISTS[name]
    history, broken = concurrent(*txns), forbidding(*weakest)
    found = {m for m in MODELS if check_list_append(history, (m,)).verdict is Verdict.INVALID}
    assert found == broken & {*MODELS}


@pytest.mark.parametrize("name", REGISTERS)
def test_what_each_model_forbids_of_registers(name: str) -> None:
    txns, weakest = REGISTERS[name]
    history, broken = concurrent(*txns), forbidding(*weakest)
    found = {m for m in MODELS if check_rw_register(history, (m,)).verdict is Verdict.INVALID}
    assert found == broken & {*MODELS}
