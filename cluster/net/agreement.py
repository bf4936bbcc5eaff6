"""What the configurations of two nodes must have alike, compared at HELLO.

A ring of other partitions, another N or another kind of clock gives the same bytes another meaning:
such a node is refused. Weights and zones only shape layouts, which travel whole, and preference
lists: a node that differs there is logged, and serves.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import msgspec
from dynamesis.cluster.core.protocol.params import Params

#: parameters without which two nodes cannot work together, and those that should be alike
MUST = ("partitions", "n", "clock", "lww_buckets")
SHOULD = ("weights", "zones", "zone_replicas", "reap_after")


def agreed(params: Params) -> dict[str, str]:
    """The parameters in question, by name, as JSON."""
    return {key: _text(getattr(params, key)) for key in (*MUST, *SHOULD)}


def conflict(here: Mapping[str, str], there: Mapping[str, str]) -> str:
    """Why two nodes cannot work together; empty if they can, or one of them does not give it."""
    found = [f"params.{key} is {b} there, {a} here" for key, a, b in _apart(MUST, here, there)]
    return "; ".join(found) + ("; all nodes of a cluster need the same" if found else "")


def differences(here: Mapping[str, str], there: Mapping[str, str]) -> list[str]:
    """In what else they differ."""
    return [f"params.{key} is {b} there, {a} here" for key, a, b in _apart(SHOULD, here, there)]


def _apart(
    keys: tuple[str, ...], here: Mapping[str, str], there: Mapping[str, str]
) -> Iterator[tuple[str, str, str]]:
    for key in keys:
        if key in here and key in there and here[key] != there[key]:
            yield key, here[key], there[key]


def _text(value: object) -> str:
    if isinstance(value, tuple):
        value = sorted(value)
    return msgspec.json.encode(value, order="sorted").decode()
