"""What an answer claims of its own quorum (`worth`), held against what it must be."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dynamesis.checkers.dynamo.request_needs import Need


def needed(need: Need) -> str:
    """A need in words."""
    parts = [f"{need.enough} nodes"]
    parts += [f"{need.primaries} primaries"] if need.primaries else []
    parts += [f"{need.durable} durable copies"] if need.durable else []
    parts += [f"{need.local} nodes of the coordinator's zone"] if need.local else []
    return ", ".join(parts)


def forgetful(quorum_info: Any) -> str | None:
    """How the answer to a write contradicts itself where no copy counts before it is durable: it
    claims more copies than durable ones."""
    if not isinstance(quorum_info, Mapping):
        return None
    replicas, durable = quorum_info.get("replicas"), quorum_info.get("durable")
    if not isinstance(replicas, int) or not isinstance(durable, int) or durable >= replicas:
        return None
    return (
        f"the answer claims {durable} durable copies of {replicas} replicas, where by the test's "
        "settings no copy is acknowledged before it is durable"
    )


def contradiction(quorum_info: Any, need: Need, possible: int, known: bool) -> str | None:
    """How an answer's claims about itself contradict what they must be. `possible`: primaries
    that could answer; `known`: False for a get whose stand-ins count for nothing."""
    if not isinstance(quorum_info, Mapping):
        return None
    claims = {k: v for k, v in quorum_info.items() if isinstance(v, int)}
    replicas = claims.get("replicas", need.answers)
    if replicas < need.answers:
        return f"the answer itself claims only {replicas} replicas"
    for name, least in (("primaries", need.primaries), ("durable", need.durable)):
        if claims.get(name, least) < least:
            return f"the answer itself claims only {claims[name]} {name}"
    if claims.get("primaries", 0) > possible:
        return (
            f"the answer claims {claims['primaries']} primaries, of which {possible} could answer"
        )
    if claims.get("durable", 0) > replicas:
        return f"the answer claims {claims['durable']} durable copies of {replicas} replicas"
    if not known and claims.get("fallbacks", 0) > 0:
        return (
            f"{claims['fallbacks']} of those that the answer counts stand in for a primary and "
            "held nothing (it showed nothing): that they hold nothing proves nothing"
        )
    return None
