"""What a test that the harness ran must have in its history, and has not: events without which a
checker judges nothing and is silent about it.

The harness writes each of these whatever happens: the phases, the end of every fault at the latest
as it heals, and, once the cluster is quiet, what each member answers about members and about what
it has in progress. One that is missing was lost, or its node did not answer.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from dynamesis.checkers.explain.describe import concerned, listed
from dynamesis.checkers.graph.run import Run
from dynamesis.checkers.history.history import History
from dynamesis.checkers.history.timeline import Timeline

#: phases that every test goes through from its heal on; one that was interrupted leaves some out
_PHASES = ("heal", "final")


def gaps(run: Run) -> Iterator[str]:
    """Each gap as a sentence. For tests that the harness ran, alone."""
    timeline = run.timeline
    if "stop" in timeline.phases:
        missing = [name for name in _PHASES if name not in timeline.phases]
        if missing:
            yield f"the history has no phase {listed(missing)}, which every whole test has"
    yield from _unlifted(timeline)
    yield from _unasked(run.history, timeline, run.test or {})


def _unlifted(timeline: Timeline) -> Iterator[str]:
    """Faults that nothing shows to have ended, though the test came to its final reads. Where
    the heal failed that is named by itself."""
    if "final" not in timeline.phases or timeline.unhealed or timeline.failed:
        return
    for fault in timeline.faults:
        if fault.stopped is None and not fault.skipped:
            yield f"fault {fault.number}, {concerned(fault)}, is not known to have been lifted"


def _unasked(h: History, timeline: Timeline, test: Mapping[str, Any]) -> Iterator[str]:
    """Members that did not answer once all was quiet, by what test.json has on the target: a
    `ring` of nodes that know it, `bounds` of what they count."""
    if not timeline.quiet or timeline.quiesced is None:
        return
    views, sizes = (_answers(h, timeline, f) for f in ("membership", "sizes"))
    every = members(h, timeline)
    bounds = test.get("bounds")
    counts = isinstance(bounds, dict) and "requests" in bounds
    for what, wanted, answers in (
        ("its members and owners", isinstance(test.get("ring"), dict), views),
        ("what it has in progress", counts, sizes),
    ):
        silent = sorted(every - answers.keys())
        if wanted and not answers:
            yield f"no node reported {what} once the cluster was quiet"
        elif wanted and silent:
            yield f"{listed(silent)} did not report {what} once the cluster was quiet"


def members(h: History, timeline: Timeline) -> set[str]:
    """The nodes that any node counted in once the cluster was quiet."""
    found: set[str] = set()
    for view in _answers(h, timeline, "membership").values():
        named = view.get("members")
        found.update(map(str, named if isinstance(named, list) else ()))
    return found


def _answers(h: History, timeline: Timeline, f: str) -> dict[str, Mapping[str, Any]]:
    """By node what it answered after the event that recorded quiet."""
    since = timeline.quiesced or 0
    return {str(value.get("node")): value for row, value in h.reported(f) if row > since}
