"""What an answer claims of its own quorum (`worth`), held against what it must be."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dynamesis.checkers.dynamo.request_needs import Need
from dynamesis.checkers.explain.describe import counted


def needed(need: Need) -> str:
    """A need in words."""
    parts = [counted(need.enough, "node")]
    parts += [counted(need.primaries, "primary", "primaries")] if need.primaries else []
    parts += [_copies(need.durable)] if need.durable else []
    parts += [_local(need.local)] if need.local else []
    return ", ".join(parts)


def _copies(count: int) -> str:
    return counted(count, "durable copy", "durable copies")


def _local(count: int) -> str:
    return f"{counted(count, 'node')} of the coordinator's zone"


def claims(quorum_info: Any) -> tuple[object, ...]:
    """All of an answer's claims that it is judged by; None for one that it does not make."""
    if not isinstance(quorum_info, dict):
        return ()
    get = quorum_info.get
    named, replicas, primaries = get("coordinator"), get("replicas"), get("primaries")
    durable, fallbacks = get("durable"), get("fallbacks")
    return (
        named if named is None else str(named),
        replicas if isinstance(replicas, int) else None,
        primaries if isinstance(primaries, int) else None,
        durable if isinstance(durable, int) else None,
        fallbacks if isinstance(fallbacks, int) else None,
    )


def forgetful(quorum_info: Any) -> str | None:
    """How the answer to a write contradicts itself where no copy counts before it is durable: it
    claims more copies than durable ones."""
    if quorum_info.__class__ is not dict and not isinstance(quorum_info, Mapping):
        return None
    replicas, durable = quorum_info.get("replicas"), quorum_info.get("durable")
    if not isinstance(replicas, int) or not isinstance(durable, int) or durable >= replicas:
        return None
    return (
        f"the answer claims {_copies(durable)} of {counted(replicas, 'replica')}, where by the "
        "test's settings no copy is acknowledged before it is durable"
    )


def contradiction(quorum_info: Any, need: Need, possible: int, known: bool) -> str | None:
    """How an answer's claims about itself contradict what they must be. `possible`: primaries
    that could answer; `known`: False for a get whose stand-ins count for nothing."""
    if quorum_info.__class__ is not dict and not isinstance(quorum_info, Mapping):
        return None
    replicas, primaries = quorum_info.get("replicas"), quorum_info.get("primaries")
    durable, fallbacks = quorum_info.get("durable"), quorum_info.get("fallbacks")
    if not isinstance(replicas, int):
        replicas = need.answers
    if replicas < need.answers:
        return f"the answer itself claims only {counted(replicas, 'replica')}"
    for name, number, least in (
        ("primaries", primaries, need.primaries),
        ("durable", durable, need.durable),
    ):
        if isinstance(number, int) and number < least:
            return f"the answer itself claims only {number} {name}"
    if isinstance(primaries, int) and primaries > possible:
        return (
            f"the answer claims {counted(primaries, 'primary', 'primaries')}, of which "
            f"{possible} could answer"
        )
    if isinstance(durable, int) and durable > replicas:
        return f"the answer claims {_copies(durable)} of {counted(replicas, 'replica')}"
    if not known and isinstance(fallbacks, int) and fallbacks > 0:
        return (
            f"{fallbacks} of the copies that the answer counts, on fallbacks for a "
            "primary, held nothing (it showed nothing): that proves nothing"
        )
    return None
