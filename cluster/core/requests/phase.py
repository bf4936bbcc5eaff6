"""The phases of a client request, as a table of allowed transitions.

A request answers its client exactly once, and outlives that answer: the copies that were
not needed for the quorum are still under way (section 4.5: the state machine lingers for
read repair; section 4.6: each place gets its copy or its hint). It leaves admission once it
has answered and no copy is under way.
"""

from __future__ import annotations

from enum import IntEnum


class Phase(IntEnum):
    """OPEN: the client waits. ANSWERED: it has its answer, copies are under way. OVER: the
    request has left admission; a copy that begins later counts for nothing."""

    OPEN = 0
    ANSWERED = 1
    OVER = 2


#: the phases that may follow each phase
ALLOWED: dict[Phase, tuple[Phase, ...]] = {
    Phase.OPEN: (Phase.ANSWERED,),
    Phase.ANSWERED: (Phase.OVER,),
    Phase.OVER: (),
}


#: the same by number
_NEXT = tuple(ALLOWED[phase] for phase in Phase)


class WrongPhase(RuntimeError):
    """An internal error of the request: it would answer twice, or leave admission twice."""


def advance(now: Phase, to: Phase) -> Phase:
    """`to`, if it may follow `now`. Raises WrongPhase."""
    if to not in _NEXT[now]:
        raise WrongPhase(f"a request that is {now.name} cannot become {to.name}")
    return to
