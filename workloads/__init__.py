"""Workloads: each a client's script, final reads and checkers. WORKLOADS lists them all."""

from .base import Workload
from .cart import CART
from .register import REGISTER

__all__ = ["WORKLOADS", "Workload"]

#: The workloads by name.
WORKLOADS: dict[str, Workload] = {workload.name: workload for workload in (CART, REGISTER)}
