"""Options that the workloads without contexts share."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from dynamesis.checkers.history.op import Op
from dynamesis.workloads.base import Chosen
from dynamesis.workloads.script.rotating_keys import RotatingKeys
from dynamesis.workloads.script.settings import Load, Option

#: Consistency models that a workload of transactions can be judged by.
CONSISTENCY = (
    "strict-serializable",
    "serializable",
    "snapshot-isolation",
    "repeatable-read",
    "causal-cerone",
    "read-atomic",
    "read-committed",
    "read-uncommitted",
)


def nothing_final(_keys: Sequence[str], _chosen: Chosen) -> Iterable[Op]:
    """For workloads whose operations show all there is to judge."""
    return ()


def reads_share(default: float, what: str = "read") -> Option:
    """The share of operations that read."""
    return Option(default, (0.0, 1.0), f"share of operations that {what}")


def life(default: int, what: str) -> Option:
    """How much is done to a key before the next one takes its place."""
    return Option(default, (1, 1_000_000), f"{what} of a key before another takes its place")


def rotating(load: Load, option: str) -> RotatingKeys:
    """The keys of a load, which live as long as this option has it."""
    return RotatingKeys(load.distribution(), int(load.options[option]))
