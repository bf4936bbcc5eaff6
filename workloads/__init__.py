"""Workloads: each a client's script, final reads and checkers. WORKLOADS lists them all."""

from dynamesis.workloads.append import APPEND
from dynamesis.workloads.base import Workload
from dynamesis.workloads.blind import BLIND
from dynamesis.workloads.bulk import BULK, CROWDED
from dynamesis.workloads.cart import CART
from dynamesis.workloads.counter import COUNTER
from dynamesis.workloads.delete import DELETE
from dynamesis.workloads.hot_key import HOT_KEY
from dynamesis.workloads.large_values import LARGE_VALUES
from dynamesis.workloads.lww import LWW
from dynamesis.workloads.read_modify_write import REGISTER
from dynamesis.workloads.sessions import SESSIONS
from dynamesis.workloads.set import SET

__all__ = ["WORKLOADS", "Workload"]

#: The workloads by name.
WORKLOADS: dict[str, Workload] = {
    workload.name: workload
    for workload in (
        CART,
        REGISTER,
        SET,
        COUNTER,
        DELETE,
        SESSIONS,
        BLIND,
        HOT_KEY,
        LARGE_VALUES,
        LWW,
        APPEND,
        BULK,
        CROWDED,
    )
}
