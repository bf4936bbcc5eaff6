"""The workloads of Maelstrom under its names, for programs that speak its protocol.

Those that have nodes agree in the end (broadcast, g-set, g-counter, pn-counter) are about one set
or one sum, each node is read in the final phase, and only these reads must show everything: what
a node shows before a write has reached it is not a fault. The others are `register`, `append` and
`rw` under another name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from dynamesis.workloads.base import Chosen, Workload
from dynamesis.workloads.plain.common import reads_share
from dynamesis.workloads.plain.counter import COUNTER
from dynamesis.workloads.plain.register import REGISTER
from dynamesis.workloads.plain.set import SET
from dynamesis.workloads.plain.transactions import APPEND, RW
from dynamesis.workloads.script.settings import Load, Option
from dynamesis.workloads.script.shared import SharedScript

#: What the load of a set and of a counter wants to know, where the options do not have it.
_GIVEN: Mapping[str, Any] = {"distribution": "uniform", "decrements": 0.0}


def _eventual(_: Chosen) -> Mapping[str, Any]:
    return {"eventual": True}


def _single(like: Workload, name: str) -> Callable[[Load], SharedScript]:
    """The load of another workload on one key, which is called as this one."""
    make = like.shared
    assert make is not None

    def shared(load: Load) -> SharedScript:
        return make(replace(load, keys=(name,), options={**_GIVEN, **load.options}))

    return shared


def _converging(
    like: Workload, name: str, description: str, options: Mapping[str, Option]
) -> Workload:
    """As another workload, on one key, all nodes of which agree in the end."""
    return replace(
        like,
        name=name,
        description=description,
        shared=_single(like, name),
        model_options=_eventual,
        final=None,
        every_node=True,
        options=options,
    )


_LARGEST = {"largest": COUNTER.options["largest"]}

BROADCAST = _converging(
    SET,
    "broadcast",
    "values broadcast to all nodes: catches values that a node never gets, or that no client sent",
    {"reads": reads_share(0.5)},
)
G_SET = _converging(
    SET,
    "g-set",
    "elements added to one set: catches elements that a node lacks in the end, or made up",
    {"reads": reads_share(0.5)},
)
G_COUNTER = _converging(
    COUNTER,
    "g-counter",
    "amounts added to one counter: catches a sum that lacks some in the end, or holds too much",
    {"reads": reads_share(0.5), **_LARGEST},
)
PN_COUNTER = _converging(
    COUNTER,
    "pn-counter",
    "amounts added and taken: catches a sum that lacks some in the end, or holds too much",
    {"reads": reads_share(0.5), **_LARGEST,
     "decrements": Option(0.5, (0.0, 1.0), "share of the additions that are negative")},
)  # fmt: skip
LIN_KV = replace(REGISTER, name="lin-kv")
TXN_LIST_APPEND = replace(APPEND, name="txn-list-append")
TXN_RW_REGISTER = replace(RW, name="txn-rw-register")
