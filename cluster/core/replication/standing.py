"""How exchanges of a node with each of its peers have gone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypedDict


class ExchangeStatus(TypedDict):
    """What a node's status has on its exchanges with a peer. `age`: s since the last one; None
    before the first."""

    rounds: int
    clean: int
    repaired: int
    age: float | None


@dataclass(slots=True)
class Standing:
    """How exchanges with one peer have gone: `since` when it shares anything (s); `rounds`
    finished, the last `clean` of them without a difference; `repaired` keys in all; when
    the last one ended (s); `failed` whether the last one failed."""

    since: float
    rounds: int = 0
    clean: int = 0
    repaired: int = 0
    finished: float | None = None
    failed: bool = False
