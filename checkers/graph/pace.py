"""How much longer than usual nodes take over what they do, by the parameters of a test.

The constants of checkers are of nodes with about the default parameters. Where a test sets slower
ones (`params` in test.json), what a sound node does comes later, and is judged later: by so many
seconds more. With parameters that are not above those named here it is 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

#: s: `replica_timeout`, `probe_interval`, `request_timeout` and `gossip_interval` up to which the
#: constants of checkers are enough
REPLICA, PROBE, REQUEST, GOSSIP = 1.0, 1.0, 2.0, 2.0
#: time-outs, one after the other, in which a place of a write finds a node
_TRIES = 6
#: time-outs after which a node counts as away
_SUSPECT = 2
#: rounds of gossip, each with one peer at random, in which news comes to all
_ROUNDS = 3


def _beyond(test: Mapping[str, Any] | None, name: str, enough: float) -> float:
    """How much longer than `enough` a parameter of a test is, s."""
    params = (test or {}).get("params")
    value = params.get(name) if isinstance(params, Mapping) else None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return 0.0
    return max(0.0, float(value) - enough)


def placing(test: Mapping[str, Any] | None) -> float:
    """For a coordinator to find nodes for the places of a write."""
    return _TRIES * _beyond(test, "replica_timeout", REPLICA)


def asking(test: Mapping[str, Any] | None) -> float:
    """For a request to be over, with all replicas."""
    return _beyond(test, "request_timeout", REQUEST) + placing(test)


def noticing(test: Mapping[str, Any] | None) -> float:
    """For a node to notice that another one is away, or back."""
    timeouts = _SUSPECT * _beyond(test, "replica_timeout", REPLICA)
    return timeouts + _beyond(test, "probe_interval", PROBE)


def spreading(test: Mapping[str, Any] | None) -> float:
    """For news of the membership to come to all nodes."""
    return _ROUNDS * _beyond(test, "gossip_interval", GOSSIP)
