"""Workloads for stores without contexts: each speaks the fs of the model that judges it.

PLAIN lists them all. Some have the names of workloads that speak with contexts; which of the two
a test runs depends on what its target speaks (workloads.plain.languages).
"""

from dynamesis.workloads.base import Workload
from dynamesis.workloads.plain.bank import BANK
from dynamesis.workloads.plain.counter import COUNTER
from dynamesis.workloads.plain.long_fork import LONG_FORK
from dynamesis.workloads.plain.queue import QUEUE
from dynamesis.workloads.plain.register import READ_WRITE, REGISTER
from dynamesis.workloads.plain.set import SET
from dynamesis.workloads.plain.transactions import APPEND, RW
from dynamesis.workloads.plain.unique_ids import UNIQUE_IDS

__all__ = ["PLAIN"]

#: The workloads by name.
PLAIN: dict[str, Workload] = {
    workload.name: workload
    for workload in (
        REGISTER,
        READ_WRITE,
        SET,
        COUNTER,
        APPEND,
        RW,
        BANK,
        UNIQUE_IDS,
        LONG_FORK,
        QUEUE,
    )
}
