"""Three-valued verdicts: invalid outranks unknown, unknown outranks valid."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

Valid = Literal[True, False, "unknown"]


@dataclass(frozen=True)
class Anomaly:
    """One proof that something is wrong: its name, the key, the few operations
    (history indices) that prove it, the argument in words, and data behind it."""

    name: str
    why: str
    key: str | None = None
    ops: tuple[int, ...] = ()
    data: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Verdict:
    """What a checker says. `reasons` tells why a verdict is unknown; `details` holds
    what was measured and not judged."""

    valid: Valid
    anomalies: tuple[Anomaly, ...] = ()
    reasons: tuple[str, ...] = ()
    details: dict[str, Any] = field(default_factory=dict)
