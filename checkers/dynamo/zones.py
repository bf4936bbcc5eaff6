"""What a request wants of one zone (`local`), held against the nodes that could answer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from typing import Any

from dynamesis.checkers.dynamo.request_needs import Need
from dynamesis.checkers.explain.describe import listed


def too_far(
    need: Need, zones: Mapping[str, str], quorum_info: Any, could: Collection[str]
) -> str | None:
    """Why too few answers can have come from the zone that they were wanted from, that of the
    coordinator. `zones`: of each node; `could`: the nodes that can have answered."""
    claims = quorum_info if isinstance(quorum_info, Mapping) else {}
    zone = zones.get(str(claims.get("coordinator")))
    near = sorted(node for node in could if zone and zones.get(node) == zone)
    if not need.local or zone is None or len(near) >= need.local:
        return None
    return f"of the coordinator's zone {zone} only {listed(near, 'no node')} can have answered"


def in_each_zone(need: Need, zones: Mapping[str, str], up: Collection[str]) -> bool:
    """Whether each zone has as many of the nodes that are `up` as are wanted of one."""
    counts = Counter(zones.get(node) for node in up)
    return all(counts[zone] >= need.local for zone in {*zones.values()})
