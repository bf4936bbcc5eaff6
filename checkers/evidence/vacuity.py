"""What a verdict rests on: judged once, above all models, from the history (docs/checkers.md).

A test that could not have failed has not passed. Whatever the model finds short of invalid, the
verdict is unknown when a fault is not known to have taken effect, when the nemesis failed to
inject or to lift one or the heal failed, when a process died by itself, when a store that reports
whether it is at rest never was, when a kind of operation never succeeded, or never again once the
faults had begun, when final reads did not come back, or when too little was acknowledged. The
figures (`checkers.evidence.figures`) are shown with a valid verdict too.

The last of these apply to tests, which have phases. A foreign history without them is judged by
its operations: its model reports what it lacks. A fault may be over before it can take effect (a
cut of half a second that no message met), or find no target (a node is cut off that is dead):
one that was lifted within TAKES_EFFECT_NS, or of which the evidence shows that no target was
there, need not have taken effect, if another of its kind has.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
from dynamesis.checkers.evidence.figures import (
    CONDITIONS,
    Figures,
    figures,
    final_by_key,
    first_fault,
    is_run,
)
from dynamesis.checkers.evidence.gaps import gaps
from dynamesis.checkers.explain.describe import at, concerned, counted, listed, share, times
from dynamesis.checkers.graph.causality import Causality
from dynamesis.checkers.graph.pace import noticing
from dynamesis.checkers.graph.run import Run
from dynamesis.checkers.history.codes import HARNESS
from dynamesis.checkers.history.history import History
from dynamesis.checkers.history.pairing import FAIL, INFO, INVOKE, OK
from dynamesis.checkers.history.timeline import (
    Fault,
    Timeline,
    crashed,
    exits,
    final_rows,
)
from dynamesis.checkers.verdict import CheckerResult, Results, Verdict, check_safely, judge

#: ns in which every fault should have taken effect, as the nemesis itself waits 1.5 s for that
TAKES_EFFECT_NS = 2_000_000_000
#: Tries of a kind of operation after which one should have succeeded: a single one proves little.
AGAIN = 2
#: Letters of an error's message that a reason shows.
_LONGEST = 200
#: Faults that leave the nodes they name dead, or as good as that.
DEADLY = ("kill", "pause", "wipe", "stop", "membership")


def check_evidence(run: Run) -> CheckerResult:
    """Judges the evidence of a history of model dynamo: what every model needs, and besides
    acknowledged writes, final reads, and an end."""
    c, timeline = run.order, run.timeline
    h = c.history
    reasons = [*_without_ok(h), *_without_effect(c), *_without_final(h, timeline)]
    reasons += [*_cut_off(h, timeline), *vacuities(run)]
    faults = [{"kind": f.kind, "index": f.started, "bit": f.took_effect} for f in timeline.faults]
    return judge((), dict.fromkeys(reasons), {"faults": faults} if faults else {})


def with_evidence(results: Results, run: Run) -> Results:
    """The results with a verdict `evidence` where the model has none of its own and evidence
    is lacking: then the whole is unknown at best. Never raises."""
    if "evidence" in results.verdicts or "history" in results.verdicts:
        return results
    found = check_safely("evidence", lambda: _above(run))
    if found.verdict is Verdict.VALID:
        return results
    return Results({**results.verdicts, "evidence": found})


def _above(run: Run) -> CheckerResult:
    ended = _cut_off(run.history, run.timeline) if is_run(run.test) else ()
    return judge((), dict.fromkeys([*ended, *vacuities(run)]))


def vacuities(run: Run) -> Iterator[str]:
    """Why the verdict of every model is unknown at best, each reason as a sentence."""
    h, timeline = run.history, run.timeline
    yield from _died(h, timeline)
    yield from _without_effect_known(h, timeline, run.test)
    yield from _failed(h, timeline)
    yield from _dialled_past(h, timeline)
    yield from _not_at_rest(h, timeline)
    if is_run(run.test):
        yield from gaps(run)
    if timeline.phases:
        yield from _without_ok(h)
        yield from _never_again(h, timeline)
        yield from _unread(h, timeline)
        yield from _none_read(h, timeline, run.test)
        yield from _too_little(run.once(figures), run.test)


def _without_ok(h: History) -> Iterator[str]:
    clients = h.process >= 0
    every = h.count_by_f(clients & (h.kind == INVOKE))
    succeeded = h.count_by_f(clients & (h.kind == OK))
    for number, (f, tried, ok) in enumerate(zip(h.fs, every, succeeded, strict=True)):
        if tried and not ok:
            ends = clients & (h.f == number) & (h.kind != INVOKE)
            ended = _commonest_end(h, np.flatnonzero(ends))
            yield f"{f} was tried {times(tried)} and never succeeded{ended}"


def _commonest_end(h: History, rows: np.ndarray[Any, Any]) -> str:
    """The commonest error of these completions, with its commonest message, as the end of a
    sentence; empty where none has an error."""
    errors = [h.errors[row] for row in rows.tolist() if row in h.errors]
    codes = Counter(error.code for error in errors)
    if not codes:
        return ""
    [(code, many)] = codes.most_common(1)
    messages = Counter(error.message for error in errors if error.code == code)
    message = " ".join(messages.most_common(1)[0][0].split())
    cut = message if len(message) <= _LONGEST else f"{message[:_LONGEST]}..."
    return f"; {many} of them ended in {code}" + (f" ({cut})" if cut else "")


def _never_again(h: History, timeline: Timeline) -> Iterator[str]:
    """Kinds of operation that succeeded only before the faults. One that was not tried any more
    could not fail; but where no write was tried, the faults were not met by any. A condition that
    did not hold was looked at: that is an answer too, of a kind that had succeeded before."""
    first = first_fault(timeline)
    if first is None:
        return
    clients, later = h.process >= 0, np.arange(len(h)) > first.started
    ok = clients & (h.kind == OK)
    done = ok.copy()
    done[_conditions_not_met(h)] = True
    done &= h.pair > first.started
    every = map(h.count_by_f, (clients & later & (h.kind == INVOKE), ok, done & clients))
    for f, tried, before, since in zip(h.fs, *every, strict=True):
        if tried >= AGAIN and before and not since:
            yield (
                f"{f} never succeeded once the faults had begun at {at(h, first.started)}: it was "
                f"tried {times(tried)}"
            )


def _conditions_not_met(h: History) -> list[int]:
    """The failures that are answers."""
    refused = (h.kind == FAIL) & (h.process >= 0) & (h.pair >= 0)
    return [row for row, error in h.errors.items() if refused[row] and error.code in CONDITIONS]


def _none_read(h: History, timeline: Timeline, test: Mapping[str, Any] | None) -> Iterator[str]:
    """A test whose final phase was to read something, by its test.json, and asked for nothing."""
    wanted = (test or {}).get("final")
    if not is_run(test) or not isinstance(wanted, list) or not wanted:
        return
    final = len(h) if timeline.final is None else timeline.final
    asked = (h.kind == INVOKE) & (h.process >= 0) & h.rows(*map(str, wanted))
    if not np.any(asked[final:]):
        yield f"there were no final reads ({listed(list(map(str, wanted)))})"


def _unread(h: History, timeline: Timeline) -> Iterator[str]:
    """Final reads and dumps that did not come back."""
    lost = [key or f for (f, key), came in final_by_key(h, timeline).items() if not came]
    if lost:
        assert timeline.final is not None, "only what was asked then can be lost"
        final = np.arange(len(h)) > timeline.final
        ended = _commonest_end(h, np.flatnonzero(final & (h.process >= 0) & (h.kind != INVOKE)))
        yield f"{counted(len(lost), 'final read')} did not come back: {listed(lost)}{ended}"
    if timeline.final is None:
        return
    dumps = np.flatnonzero((h.kind == INVOKE) & h.rows("dump"))
    dumps = dumps[dumps > timeline.final]
    ends = h.pair[dumps]
    failed = dumps[(ends < 0) | (h.kind[ends] != OK)]
    if len(failed):
        nodes = sorted({h.nodes[h.replica[row]] for row in failed.tolist() if h.replica[row] >= 0})
        asked = counted(len(dumps), "final dump")
        yield f"{len(failed)} of {asked} did not come back ({listed(nodes)})"


def _too_little(counts: Figures, test: Mapping[str, Any] | None) -> Iterator[str]:
    """What lies below the floor. The share is for all tests, the numbers for tests that were run:
    of a history without its test.json no one knows how much it was meant to do."""
    floor, done, tried = counts["floor"], counts["acknowledged"], counts["tried"]
    shown = share(done, tried, "operation", "acknowledged", " of the load")
    if tried and done < floor["share"] * tried:
        yield f"too little was acknowledged: {shown}; the floor is {floor['share']:.0%}"
    if not is_run(test):
        return
    if done < floor["acknowledged"] or counts["writes"] < floor["writes"]:
        yield (
            f"too little was acknowledged: {shown}, {counts['writes']} of them writes; the floor "
            f"is {counted(floor['acknowledged'], 'operation')} and "
            f"{counted(floor['writes'], 'write')}"
        )
    if counts["writes"] and counts["writes_since_faults"] == 0:
        yield "no write was acknowledged once the faults had begun"
    compared = counts["compared"]
    if counts["dumps"]["answered"] and floor["replicas"] and compared["most_replicas"] < 2:
        yield (
            "no key was compared on two replicas or more: of "
            f"{counted(compared['keys'], 'key')} one copy each was dumped"
        )


def _without_effect(c: Causality) -> Iterator[str]:
    if not np.any(c.outcome == OK):
        yield "no write was acknowledged"


def _without_final(h: History, timeline: Timeline) -> Iterator[str]:
    if not any(len(final_rows(h, timeline, f)) for f in ("get", "dump")):
        yield "there were no final reads"


def _cut_off(h: History, timeline: Timeline) -> Iterator[str]:
    if timeline.phases and "stop" not in timeline.phases:
        last = max(timeline.phases, key=lambda name: timeline.phases[name])
        yield (
            f"the history ends at line {len(h)} in phase {last}: expected phase stop, with which "
            "every test ends"
        )


def _failed(h: History, timeline: Timeline) -> Iterator[str]:
    """What the nemesis could not do, and what could not be healed, each by its event."""
    for row in timeline.unhealed:
        yield f"not everything was healed at {at(h, row)}: {_why(h, row)}"
    for row in timeline.failed:
        f = h.fs[h.f[row]]
        yield f"the nemesis failed in {f} at {at(h, row)}: {_why(h, row)}"


def _dialled_past(h: History, timeline: Timeline) -> Iterator[str]:
    """Nodes that dial each other past the proxies by which their links were to be broken."""
    if not any(fault.kind.partition(".")[0] in ("cut", "link") for fault in timeline.faults):
        return
    for row in np.flatnonzero((h.process == HARNESS) & h.rows("dialled-past")).tolist():
        value = h.value_of(row)
        pair = value if isinstance(value, dict) else {}
        node, peer = (pair.get(end) or "a node" for end in ("node", "peer"))
        yield (
            f"{node} dialled {peer} past the proxy of their link at {at(h, row)}, which no cut "
            "cuts: keep it from learning that address, or have nodes advertise another"
        )


def _not_at_rest(h: History, timeline: Timeline) -> Iterator[str]:
    """A store that was asked whether it is at rest, and never was: what its final reads show may
    still have changed."""
    seen = timeline.waiting.get("at_rest") if isinstance(timeline.waiting, Mapping) else None
    if seen is None or timeline.quiet or timeline.quiesced is None:
        return
    why = f" ({seen})" if isinstance(seen, str) else ""
    yield (
        f"the store was not at rest when the wait for it ended at {at(h, timeline.quiesced)}: the "
        f"target's at_rest never answered that it is{why}"
    )


def _why(h: History, row: int) -> Any:
    error = h.errors.get(row)
    return error.message or error.code if error is not None else h.value_of(row)


def _died(h: History, timeline: Timeline) -> Iterator[str]:
    for row in timeline.found_dead:
        value = h.value_of(row)
        named = value.get("nodes") if isinstance(value, dict) else None
        hit = {
            node
            for fault in timeline.active((row,))
            if fault.kind in DEADLY
            for node in fault.nodes
        }
        ends = exits(h, row)
        for node in named if isinstance(named, list) else ["a node"]:
            if node not in hit and not crashed(ends.get(node)):
                yield f"{node} was found dead at {at(h, row)}, and no fault had killed it"


def _without_effect_known(
    h: History, timeline: Timeline, test: Mapping[str, Any] | None
) -> Iterator[str]:
    """Faults that are not known to have taken effect. A history of another tool, whose faults
    have no numbers, proves none of them, and is not judged by that."""
    faults = [fault for fault in timeline.faults if _is_ours(fault)]
    effective = {fault.kind for fault in faults if fault.took_effect}
    for kind in dict.fromkeys(fault.kind for fault in faults):
        if kind not in effective:
            first = next(f.started for f in faults if f.kind == kind)
            alike = [f for f in faults if f.kind == kind]
            cause = _too_large(h, alike) or _noticed_late(alike, test)
            why = f"no {kind} fault is known to have taken effect (the first is index {first})"
            yield f"{why}{cause}"
    for fault in faults:
        if fault.kind in effective and not fault.took_effect and _had_time(h, fault):
            cause = _too_large(h, [fault]) or _noticed_late([fault], test)
            why = f"fault {fault.number}, {concerned(fault)}, is not known to have taken effect"
            yield f"{why}{cause}"


def _noticed_late(faults: Iterable[Fault], test: Mapping[str, Any] | None) -> str:
    """That nodes count what a link does to them later than usual, by the parameters of a test, as
    the end of a sentence."""
    links = any(fault.family in ("cut", "link") for fault in faults)
    if not links or not noticing(test):
        return ""
    return "; nodes count it only after replica_timeout, which is long here, or probe_interval"


def _too_large(h: History, faults: Iterable[Fault]) -> str:
    """That nodes refused the load of faults for its size, as they do where a test sets them a lower
    limit, as the end of a sentence."""
    numbers = [fault.number for fault in faults if fault.family == "load"]
    refused = 0
    for row in np.flatnonzero((h.kind == INFO) & h.rows("evidence")).tolist() if numbers else ():
        value = h.value_of(row)
        detail = value.get("detail") if isinstance(value, dict) else None
        ended = detail.get("ended") if isinstance(detail, dict) else None
        if isinstance(ended, dict) and value.get("fault") in numbers:
            many = ended.get("value-too-large")
            refused += many if isinstance(many, int) else 0
    return (
        f"; values of it were refused as too large {times(refused)} (max_value)" if refused else ""
    )


def _is_ours(fault: Fault) -> bool:
    number = fault.fields.get("fault")
    numbered = isinstance(number, int) and not isinstance(number, bool)
    return numbered or fault.took_effect is not None


def _had_time(h: History, fault: Fault) -> bool:
    """Did the fault find a target, and last long enough?"""
    if fault.no_target or fault.skipped:
        return False
    end = len(h) - 1 if fault.stopping is None else fault.stopping
    begun = fault.started if fault.begun is None else fault.begun
    return int(h.time[end] - h.time[begun]) >= TAKES_EFFECT_NS
