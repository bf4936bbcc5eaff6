"""Situations: the rare things that a store is made for, and whether a test reached them.

A verdict of "valid" is only as good as what was tried: a test that never kept a hint shows nothing
of hinted handoff. So each situation of this table is counted in the nodes' event logs, also where
its count is 0, and a workload or nemesis that never reaches one shows.

A situation is a line of the log, in some a line that follows on others: the second `ready` of a
node is a restart. Lines that are logged at most once a second carry `times`. A SIGKILL costs the
last moments of a log: a count is a lower bound.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from dynamesis.checkers.history.arrays import alike
from dynamesis.checkers.history.pairing import Ints, previous
from dynamesis.checkers.logs.copy_lines import (
    ABOUT,
    KINDS,
    RARE,
    STORED,
    CopyLines,
    copy_lines,
)
from dynamesis.checkers.logs.logs import Event, Logs
from dynamesis.checkers.logs.situation_lines import (
    SEVERAL,
    TAKEN,
    Before,
    Came,
    Has,
    When,
    always,
    by_fallback,
    came_by,
    contains,
    elsewhere,
    forgot,
    is_any,
    joined,
    left,
    made,
    met,
    resolved,
    resumed,
    sign,
    stale,
    superseded,
    why,
    wiped,
)


@dataclass(frozen=True)
class Situation:
    """`event`: the name of its line; `when`: whether a line of that name is one, after those
    before it."""

    about: str
    event: str
    when: When = always


#: every situation by name
SITUATIONS: dict[str, Situation] = {
    # ---- writes and reads
    "put-forwarded": Situation("a node passed a put on to one that may stamp it", "forwarded"),
    "put-rerouted": Situation("a forward was not sent, and went to another node", "rerouted"),
    "put-fallback": Situation(
        "a place of a put went to a fallback", "place-replaced", is_any("code", "put")
    ),
    "put-stamped-by-fallback": Situation(
        "no primary could be reached: a fallback coordinated", "stored", why("stamp", hint=True)
    ),
    "put-unplaced": Situation("a place of a put got neither copy nor hint", "unplaced"),
    "put-fewer-places": Situation("a put asked for fewer than N places", "fewer-places"),
    "put-quorum-missed": Situation(
        "a put had fewer than W answers", "put-refused", is_any("code", "write-quorum")
    ),
    "put-timed-out": Situation(
        "a put was not answered in time", "put-refused", is_any("code", "timeout")
    ),
    "put-forward-lost": Situation(
        "the node that a put was passed on to did not answer",
        "put-refused",
        is_any("code", "forward-lost"),
    ),
    "put-no-coordinator": Situation(
        "no node that may stamp could be reached", "put-refused", is_any("code", "no-coordinator")
    ),
    "put-storage-failed": Situation(
        "the coordinator's disk failed a put",
        "put-refused",
        is_any("code", "storage-write", "storage-read"),
    ),
    "put-in-memory": Situation(
        "a copy was acknowledged from memory",
        "stored",
        Has("durable", lambda value: value is False),
    ),
    "get-fallback": Situation(
        "a place of a get went to a fallback", "place-replaced", is_any("code", "get")
    ),
    "get-answered-by-fallback": Situation("a fallback answered a get", "read", by_fallback),
    "get-replicas-differ": Situation(
        "replicas answered a get with different versions", "read", stale
    ),
    "get-quorum-missed": Situation(
        "a get had fewer than R answers", "get-refused", is_any("code", "read-quorum")
    ),
    "get-timed-out": Situation(
        "a get was not answered in time", "get-refused", is_any("code", "timeout")
    ),
    "late-reply": Situation("an answer came after its question was given up", "late-answer"),
    "overload-refused": Situation(
        "a request was refused: too many are in progress", "refused", is_any("code", "overloaded")
    ),
    "not-ready-refused": Situation(
        "a request was refused by a node that is not ready", "refused", is_any("code", "not-ready")
    ),
    "context-refused": Situation(
        "a context was not handed out for this key", "refused", is_any("code", "bad-context")
    ),
    "background-throttled": Situation(
        "slow reads held background work back", "background-throttled"
    ),
    # ---- retries
    "retry-answered": Situation("a retry was answered from memory", "retry-answered"),
    "retry-joined": Situation("a retry met its first try, in progress", "retry-joined"),
    "retry-continued": Situation(
        "a retry continued from the first try's stamp", "held", why("retry")
    ),
    "retry-sought": Situation("a retry was sought at the other nodes", "retry-sought"),
    "retry-forgotten": Situation(
        "no node remembered the first try", "put-refused", is_any("code", "forgotten")
    ),
    # ---- versions
    "sibling-made": Situation("a put left concurrent versions", "stored", made),
    "sibling-met": Situation("a copy that came was concurrent with the one here", "stored", met),
    "sibling-resolved": Situation("a put replaced all concurrent versions", "stored", resolved),
    "sibling-superseded": Situation(
        "a copy that came replaced concurrent versions", "stored", superseded
    ),
    "tombstone-written": Situation("a key was deleted", "stored", Has("deleted")),
    "epoch-renewed": Situation("a key got a version under a new epoch", "epoch-renewed"),
    "incarnation-copied-disk": Situation(
        "a disk was taken for an old copy at the start",
        "new-incarnation",
        contains("reason", "old copy"),
    ),
    "incarnation-peer-knows": Situation(
        "a peer knew a later life or epoch of this node",
        "new-incarnation",
        lambda event, before: "old copy" not in str(event.get("reason", "")),
    ),
    "lease-failed": Situation("epochs could not be leased", "lease-failed"),
    "context-before-wipe": Situation(
        "a client put with a context from before a wipe", "context-ahead", wiped
    ),
    "context-before-loss": Situation(
        "a client had seen a version that its node lost, or reaped", "context-ahead", forgot
    ),
    "record-behind": Situation(
        "a copy that came knew more of this node's stamps than its record", "record-behind"
    ),
    "clock-behind": Situation(
        "a version was dated after what is known, ahead of the clock", "stored", Has("ahead")
    ),
    "clock-back": Situation("a node's clock went back", "clock-set", sign("by", positive=False)),
    "clock-forward": Situation(
        "a node's clock jumped forward", "clock-set", sign("by", positive=True)
    ),
    # ---- hints
    "hint-kept": Situation(
        "a hint was kept for a node that could not be reached", "stored", why("put", hint=True)
    ),
    "hint-refused": Situation(
        "a hint was refused: there are too many bytes of them", "hint-refused"
    ),
    "hint-handed-off": Situation("a hint was handed off", "handed-off"),
    "hint-handed-elsewhere": Situation(
        "a hint went to the owners, not to its target", "handed-off", elsewhere
    ),
    "hint-came": Situation("a hint that was handed off was news", "stored", why("handoff")),
    "hint-was-known": Situation("a hint that was handed off was no news", "held", why("handoff")),
    "hint-handoff-failed": Situation("a hint was not taken", "handoff-failed"),
    "hint-outrun": Situation("a hint changed while it was handed off", "handoff-outrun"),
    "hint-given-up": Situation("a hint was given up", "hint-given-up"),
    "hint-unreadable": Situation("a hint could not be read", "hint-unreadable"),
    # ---- repair
    "read-repair": Situation("a get sent a replica what it lacked", "read-repair"),
    "read-repair-took": Situation("a read repair was news", "stored", why("read-repair")),
    "exchange-repaired": Situation(
        "an exchange repaired keys", "exchange", sign("repaired", positive=True)
    ),
    "exchange-failed": Situation("an exchange failed", "exchange-failed"),
    "exchange-refused": Situation(
        "an exchange was refused by a node that is not a primary",
        "exchange-failed",
        is_any("error", "not-primary"),
    ),
    "exchange-resumed": Situation(
        "an exchange ended well after one that failed", "exchange-resumed"
    ),
    "trees-rebuilt": Situation("hash trees were made anew", "trees-rebuilt"),
    "trees-kept": Situation("hash trees were taken up from a clean stop", "trees-kept"),
    "trees-drifted": Situation(
        "hash trees made anew differed from those that served", "tree-drift"
    ),
    "rebuild-failed": Situation(
        "the records could not be read for the hash trees", "rebuild-failed"
    ),
    "tombstone-reaped": Situation("tombstones were reaped", "reap"),
    "tombstone-fence-refused": Situation(
        "a node did not fence a tombstone that another would reap",
        "reap-refused",
        is_any("code", "fence"),
    ),
    "tombstone-check-refused": Situation(
        "something happened to a fenced tombstone", "reap-refused", is_any("code", "check", "reap")
    ),
    # ---- disks
    "batch-failed": Situation("a batch could not be stored", "storage-error"),
    "row-damaged": Situation("a damaged row was found", "row-damaged"),
    "row-healed": Situation(
        "what another replica sent took the place of a damaged row",
        "stored",
        contains("why", "healed"),
    ),
    "storage-unreadable": Situation(
        "a node could not read its disk at the start", "storage-unreadable"
    ),
    # ---- peers and members
    "node-restarted": Situation(
        "a node came back", "ready", lambda event, before: event.get("node") in before.lived
    ),
    "suspicion-raised": Situation("a peer was suspected", "peer-suspected"),
    "suspicion-cleared": Situation("a suspected peer answered", "peer-back"),
    "link-lost": Situation("a link to a peer broke", "link-down"),
    "ring-founded": Situation("a node founded the ring", "founded"),
    "change-proposed": Situation("a change of the membership was asked for", "change-proposed"),
    "change-refused": Situation("a change of the membership was refused", "change-refused"),
    "change-passed-over": Situation(
        "a change became impossible before it was made", "change-passed-over"
    ),
    "member-joined": Situation("a node saw a member join", "layout", joined),
    "member-left": Situation("a node saw a member go", "layout", left),
    "node-closed": Situation("the cluster was done with a node that had gone", "closed"),
    "stranger-refused": Situation(
        "a state from a node that takes no part was refused", "stranger-refused"
    ),
    "not-primary-refused": Situation(
        "a node was asked as the primary that it is not", "not-primary"
    ),
    "newcomer-copied": Situation(
        "a write reached a node that is about to own its key", "stored", why("pending")
    ),
    "partition-fetched": Situation("a newcomer had all of a partition", "transfer-ready"),
    "transfer-resumed": Situation(
        "a partition was fetched after an interruption", "transfer-ready", resumed
    ),
    "partition-dropped": Situation("a former owner gave a partition up", "partition-dropped"),
}


def _by_event() -> dict[str, tuple[tuple[str, When], ...]]:
    """By event, or by event and why a copy came, the situations that it may be."""
    found: dict[str, tuple[tuple[str, When], ...]] = {}
    for name, situation in SITUATIONS.items():
        event, when = situation.event, situation.when
        if isinstance(when, Came):
            event = f"{event} {when.why}"
        found[event] = (*found.get(event, ()), (name, when))
    return found


_BY_EVENT = _by_event()
#: events of which every line is the same situations, and none is looked at
_EVERY = {
    event: [name for name, _ in may_be]
    for event, may_be in _BY_EVENT.items()
    if event not in (*ABOUT, *TAKEN) and all(when is always for _, when in may_be)
}
#: lines that are looked at one by one: as situations, or since others are judged by them
_OTHERS = tuple(sorted({*(s.event for s in SITUATIONS.values()), *TAKEN} - {*ABOUT, *_EVERY}))


def count_situations(logs: Logs) -> dict[str, int]:
    """How often each situation was reached, 0 for never."""
    counts = dict.fromkeys(SITUATIONS, 0)
    _count_copies(logs.once(copy_lines), counts)
    for event_name in _EVERY.keys() & logs.by_kind.keys():
        events = logs.of_kinds(event_name)
        more = sum(_times(event) - 1 for event in events if "times" in event)
        _count(counts, _EVERY[event_name], len(events) + more)
    before = Before()
    for event in logs.of_kinds(*_OTHERS):
        what = event["event"]
        for name, when in _BY_EVENT.get(what, ()):
            if when(event, before):
                counts[name] += _times(event) if "times" in event else 1
        if what in TAKEN:
            before.take(event, what)
    return counts


def _count_copies(lines: CopyLines, counts: dict[str, int]) -> None:
    """The situations of lines about copies. Most are of those that all lines which are there by the
    same reason are, or of none: the first line by each reason is looked at, and each that has a
    rare field."""
    times, before = np.ones(len(lines.lines), np.int64), Before()
    for line in lines.rare:
        event = lines.lines[line]
        times[line] = _times(event)
        _count(counts, _those(event, before, _is_of_field), int(times[line]))
    reasons = 2 * (lines.reasons + 1) + lines.hints[lines.numbers]
    for line, many in _each(reasons << len(KINDS) | lines.kinds, times):
        _count(counts, _those(lines.lines[line], before, _is_of_reason), many)
    rows, had, now = _several(lines)
    for place, many in _each(2 * lines.reasons[rows] + (now > had), times[rows]):
        before.now, before.had = int(now[place]), int(had[place])
        _count(counts, _those(lines.lines[rows[place]], before, SEVERAL.__contains__), many)


def _each(kinds: Ints, times: Ints) -> Iterator[tuple[int, int]]:
    """Where each kind (a number) is first, and how many times it is there."""
    first, which = alike(kinds)
    many = np.bincount(which, times).astype(np.int64)
    return zip(first.tolist(), many.tolist(), strict=True)


def _several(lines: CopyLines) -> tuple[Ints, Ints, Ints]:
    """The lines after which a copy has more versions than before, and several, or one instead of
    several; how many it had before, and has now."""
    rows = np.flatnonzero(lines.are(STORED, "deleted"))
    #: by state, and one more for none: how many versions it has
    sizes = np.array([*(len(dots) for _, dots in lines.held), 0], np.int64)
    now, before = sizes[lines.states[rows]], previous(lines.numbers[rows])
    had = np.where(before < 0, 0, now[before])
    several = ((now > 1) & (now > had)) | ((now == 1) & (had > 1))
    return rows[several], had[several], now[several]


def _those(event: Event, before: Before, looked_at: Callable[[When], bool]) -> list[str]:
    """The situations that a line of a copy is, of those that are `looked_at`."""
    what = event["event"]
    may_be = _BY_EVENT.get(what, ()) + _BY_EVENT.get(f"{what} {came_by(event)}", ())
    return [name for name, when in may_be if looked_at(when) and when(event, before)]


def _is_of_reason(when: When) -> bool:
    """Whether lines that are there by the same reason are all such, or none is."""
    return (
        when is always or isinstance(when, Came) or (isinstance(when, Has) and when.name == "why")
    )


def _is_of_field(when: When) -> bool:
    return isinstance(when, Has) and when.name in RARE


def _times(event: Event) -> int:
    times = event.get("times")
    return times if isinstance(times, int) and times > 0 else 1


def _count(counts: dict[str, int], names: Iterable[str], times: int) -> None:
    for name in names:
        counts[name] += times


def table() -> str:
    """The situations as a Markdown table."""
    lines = ["| situation | what happened | line of the event log |", "|---|---|---|"]
    lines += [f"| `{name}` | {each.about} | `{each.event}` |" for name, each in SITUATIONS.items()]
    return "\n".join(lines) + "\n"
