"""Workloads: each a client's script, final reads and checkers. WORKLOADS lists them all."""

from .append import APPEND
from .base import Workload
from .blind import BLIND
from .bulk import BULK, CROWDED
from .cart import CART
from .counter import COUNTER
from .delete import DELETE
from .hot_key import HOT_KEY
from .large_values import LARGE_VALUES
from .lww import LWW
from .register import REGISTER
from .sessions import SESSIONS
from .set import SET

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
