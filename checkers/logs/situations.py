"""Situations: the rare things that a store is made for, and whether a test reached them.

A verdict of "valid" is only as good as what was tried: a test that never kept a hint shows nothing
of hinted handoff. So each situation of this table is counted in the nodes' event logs, also where
its count is 0, and a workload or nemesis that never reaches one shows.

A situation is a line of the log, in some a line that follows on others: the second `ready` of a
node is a restart. Lines that are logged at most once a second carry `times`. A SIGKILL costs the
last moments of a log: a count is a lower bound.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from dynamesis.checkers.logs.copy_lines import STORED, CopyLines, copy_lines
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


#: lines that are situations, or that others are judged by; those of copies are looked at apart
_OTHERS = tuple(sorted({*(each.event for each in SITUATIONS.values()), *TAKEN} - {STORED}))


def count_situations(logs: Logs) -> dict[str, int]:
    """How often each situation was reached, 0 for never."""
    counts = dict.fromkeys(SITUATIONS, 0)
    _count_copies(logs.once(copy_lines), counts)
    before = Before()
    seen: _Seen = {}
    for event in logs.of_kinds(*_OTHERS):
        what = event["event"]
        alike = _alike_of(seen, event, what, event.get("why"))
        times = _times(event) if "times" in event else 1
        alike.times += times
        for name, when in alike.may_be:
            if when(event, before):
                counts[name] += times
        if what in TAKEN:
            before.take(event, what)
    _add_those_that_are(seen, counts)
    return counts


def _count_copies(lines: CopyLines, counts: dict[str, int]) -> None:
    """The situations of lines that show a copy: most are of those that all lines which came by the
    same reason are, or of none."""
    before = Before()
    seen: _Seen = {}
    #: by state, and one more for none: how many versions it has
    sizes = [len(dots) for _, dots in lines.held] + [0]
    #: by copy: how many versions it has
    versions: dict[int, int] = {}
    each = zip(lines.lines, lines.names, lines.numbers, lines.whys, lines.states, strict=True)
    for event, what, copy, reason, state in each:
        if what != STORED:
            if what == "deleted":
                versions.pop(copy, None)
            continue
        alike = _alike_of(seen, event, STORED, reason)
        times = _times(event) if "times" in event else 1
        alike.times += times
        for field, name, when in alike.given:
            if field in event and when(event, before):
                counts[name] += times
        now = sizes[state]
        had = versions.get(copy, 0)
        versions[copy] = now
        if (now > 1 and now > had) or now == 1 < had:
            before.now, before.had = now, had
            for name, when in alike.several:
                if when(event, before):
                    counts[name] += times
    _add_those_that_are(seen, counts)


@dataclass
class _Alike:
    """Lines of one event that came by one reason, all of hints or none. `are`: the situations that
    each of them is; `may_be`: those that depend on the rest of the line, or on lines before;
    `several`: those of copies that have concurrent versions, or had; `given`: those of lines that
    have a certain field; `times`: how many there were."""

    are: tuple[str, ...]
    may_be: tuple[tuple[str, When], ...]
    several: tuple[tuple[str, When], ...]
    given: tuple[tuple[str, str, When], ...]
    times: int = 0


_Seen = dict[tuple[str, str | None, bool], _Alike]
_Whens = tuple[tuple[str, When], ...]
_Parts = tuple[tuple[str, ...], _Whens, _Whens, tuple[tuple[str, str, When], ...]]


def _alike_of(seen: _Seen, event: Event, what: str, why: Any) -> _Alike:
    """The lines that a line is like, which is there for a reason, `why`."""
    if why is not None and why.__class__ is not str:
        why = str(why)
    about = what, why, "hint_for" in event
    found = seen.get(about)
    if found is None:
        found = seen[about] = _Alike(*_known_of(what, "why" in event, why, about[2]))
    return found


@lru_cache(maxsize=1024)
def _known_of(what: str, given: bool, why: str | None, hint: bool) -> _Parts:
    """What is known of lines of an event with this reason, if it is given, of hints or none."""
    event: dict[str, Any] = {"why": why} if given else {}
    event |= {"hint_for": ""} if hint else {}
    every = _BY_EVENT.get(what, ())
    if given:
        every += _BY_EVENT.get(f"{what} {came_by(event)}", ())
    are = [name for name, when in every if _of_reason(when) and when(event, Before())]
    rest = tuple(each for each in every if not _of_reason(each[1]))
    several = tuple(each for each in rest if each[1] in SEVERAL)
    fields = tuple((when.name, name, when) for name, when in rest if isinstance(when, Has))
    return tuple(are), rest, several, fields


def _of_reason(when: When) -> bool:
    """Whether lines that came by the same reason are all such, or none is."""
    return (
        when is always or isinstance(when, Came) or (isinstance(when, Has) and when.name == "why")
    )


def _times(event: Event) -> int:
    times = event.get("times")
    return times if isinstance(times, int) and times > 0 else 1


def _add_those_that_are(seen: _Seen, counts: dict[str, int]) -> None:
    for alike in seen.values():
        for name in alike.are:
            counts[name] += alike.times


def table() -> str:
    """The situations as a Markdown table."""
    lines = ["| situation | what happened | line of the event log |", "|---|---|---|"]
    lines += [f"| `{name}` | {each.about} | `{each.event}` |" for name, each in SITUATIONS.items()]
    return "\n".join(lines) + "\n"
