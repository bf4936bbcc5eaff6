"""Which anomalies a consistency model forbids.

Models imply weaker models, and anomalies imply other anomalies; a model forbids what it
names, what the models below it name, and whatever implies any of that. The tables follow
Elle's (elle.consistency-model; Adya 1999; Bailis et al., HAT and RAMP; Cerone et al. 2015 and
2017), and add what Elle does not look for: models that forbid less than all cycles of a
family forbid a *shape* of it (docs/checkers.md has the table). A model that in this way
forbids nothing that a checker here can find, or something else that none can, is refused:
a history would pass it vacuously.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

from dynamesis.checkers.graph.cycle_search import CAUSAL, PREFIX, UPDATE

#: one transaction saw another's write, and misses a write of it to a second key
FRACTURED = "G-single/fractured"
#: the same, where the read that misses it comes after the one that saw it
VANISHED = "G-single/vanished"
#: an update rests on a version that others replaced before it, all of one key
CURSOR = "G-single/cursor"

#: shape -> the family of cycles that it is a part of
SHAPE_OF = {
    FRACTURED: "G-single",
    VANISHED: "G-single",
    CURSOR: "G-single",
    CAUSAL: "G-single",
    PREFIX: "G-nonadjacent",
    UPDATE: "G2-item",
}

#: other names -> the name used here
ALIASES = {
    "PL-1": "read-uncommitted",
    "update-atomic": "ROLA",
    "PL-2": "read-committed",
    "PL-CS": "cursor-stability",
    "PL-2L": "monotonic-view",
    "PL-MSR": "monotonic-snapshot-read",
    "PL-2+": "consistent-view",
    "PL-FCV": "forward-consistent-view",
    "PL-SI": "snapshot-isolation",
    "PL-2.99": "repeatable-read",
    "PL-3U": "update-serializable",
    "PL-3": "serializable",
    "conflict-serializable": "serializable",
    "PL-SS": "strict-serializable",
    "strong-serializable": "strict-serializable",
    "strong-session-PL-1": "strong-session-read-uncommitted",
    "strong-session-PL-2": "strong-session-read-committed",
    "strong-PL-1": "strong-read-uncommitted",
    "strong-PL-2": "strong-read-committed",
}

#: families of which Elle has a kind without predicates, under a name of its own; no predicates are
#: read here, so that these are the same
_ITEMS = {"G-single-item": "G-single", "G-nonadjacent-item": "G-nonadjacent"}

#: model -> the weaker models that it implies
IMPLIES: dict[str, tuple[str, ...]] = {
    "read-uncommitted": (),
    "read-committed": ("read-uncommitted",),
    "monotonic-atomic-view": ("read-committed",),
    "read-atomic": ("monotonic-atomic-view",),
    "causal-cerone": ("read-atomic",),
    "ROLA": ("read-atomic",),
    "prefix": ("causal-cerone",),
    "parallel-snapshot-isolation": ("causal-cerone", "ROLA"),
    "cursor-stability": ("read-committed",),
    "monotonic-view": ("read-committed",),
    "monotonic-snapshot-read": ("read-committed",),
    "consistent-view": ("cursor-stability", "monotonic-view"),
    "forward-consistent-view": ("consistent-view",),
    "update-serializable": ("forward-consistent-view",),
    "repeatable-read": ("cursor-stability", "monotonic-atomic-view"),
    "snapshot-isolation": (
        "forward-consistent-view",
        "monotonic-atomic-view",
        "monotonic-snapshot-read",
        "parallel-snapshot-isolation",
        "prefix",
    ),
    "view-serializable": (),
    "serializable": (
        "repeatable-read",
        "update-serializable",
        "snapshot-isolation",
        "view-serializable",
    ),
    "strong-session-read-uncommitted": ("read-uncommitted",),
    "strong-session-read-committed": ("read-committed", "strong-session-read-uncommitted"),
    "strong-session-snapshot-isolation": ("snapshot-isolation", "strong-session-read-committed"),
    "strong-session-serializable": ("serializable", "strong-session-snapshot-isolation"),
    "strong-read-uncommitted": ("strong-session-read-uncommitted",),
    "strong-read-committed": ("strong-session-read-committed", "strong-read-uncommitted"),
    "strong-snapshot-isolation": ("strong-session-snapshot-isolation", "strong-read-committed"),
    "strict-serializable": (
        "serializable",
        "linearizable",
        "strong-snapshot-isolation",
        "strong-session-serializable",
    ),
    "linearizable": ("sequential",),
    "sequential": ("causal",),
    "causal": ("writes-follow-reads", "PRAM"),
    "PRAM": ("monotonic-reads", "monotonic-writes", "read-your-writes"),
    "writes-follow-reads": (),
    "monotonic-reads": (),
    "monotonic-writes": (),
    "read-your-writes": (),
}

#: model -> the anomalies that it names itself
FORBIDS: dict[str, tuple[str, ...]] = {
    "read-uncommitted": ("G0", "duplicate-elements", "cyclic-versions", "phantom"),
    "read-committed": ("G1",),
    "monotonic-atomic-view": (VANISHED,),
    "read-atomic": ("internal", "G1a", "future-read", FRACTURED),
    "causal-cerone": ("internal", "G1a", CAUSAL),
    "prefix": ("internal", "G1a", PREFIX),
    "parallel-snapshot-isolation": ("internal", "G1a", "G-single"),
    "ROLA": ("lost-update",),
    "cursor-stability": ("G1", "lost-update", CURSOR),
    "monotonic-view": ("G1",),
    "monotonic-snapshot-read": ("G1",),
    "consistent-view": ("G1", "G-single"),
    "forward-consistent-view": ("G1",),
    "update-serializable": ("G1", UPDATE),
    "repeatable-read": ("G1", "G2-item", "lost-update"),
    "snapshot-isolation": ("internal", "G1", "G-nonadjacent"),
    "serializable": ("internal", "G1", "G2"),
    "strong-session-read-uncommitted": ("G0-process",),
    "strong-session-read-committed": ("G1c-process",),
    "strong-session-snapshot-isolation": ("internal", "G1-process", "G-nonadjacent-process"),
    "strong-session-serializable": ("G1-process", "G2-process"),
    "strong-read-uncommitted": ("G0-realtime",),
    "strong-read-committed": ("G1c-realtime",),
    "strong-snapshot-isolation": ("internal", "G1-realtime", "G-nonadjacent-realtime"),
    "strict-serializable": ("G1", "G1c-realtime", "G2-realtime"),
}

#: model -> what it forbids that no checker here can find
UNSEEN = {
    "monotonic-view": "the reads of one transaction that contradict each other (G-monotonic)",
    "monotonic-snapshot-read": "reads from between snapshots (G-MSR)",
}

_LEVELS = ("", "-process", "-realtime")
#: a family of cycles -> the weaker family that it is a case of
_WEAKER = {
    "G0": "G1c",
    "G1c": "G1",
    "G-single": "G-nonadjacent",
    "G-nonadjacent": "G2-item",
    "G2-item": "G2",
}


def _cycle_meanings() -> dict[str, tuple[str, ...]]:
    """A cycle is one of the weaker family too, and one on the next level too."""
    means = {}
    for level, following in zip(_LEVELS, (*_LEVELS[1:], None), strict=True):
        for family in (*_WEAKER, "G1", "G2"):
            weaker = (_WEAKER[family] + level,) if family in _WEAKER else ()
            higher = (family + following,) if following else ()
            means[family + level] = weaker + higher
    return means


#: anomaly -> what its presence implies too
MEANS: dict[str, tuple[str, ...]] = {
    **_cycle_meanings(),
    "G1a": ("G1",),
    "G1b": ("G1",),
    "incompatible-order": ("G1a",),
    "dirty-update": ("G1a",),
    "phantom": ("G1a",),
    "future-read": ("G1c",),
    "lost-update": ("G2-item",),
    VANISHED: (FRACTURED,),
    FRACTURED: (CAUSAL,),
    CAUSAL: ("G-single", PREFIX),
    CURSOR: ("G-single",),
    PREFIX: ("G-nonadjacent",),
    UPDATE: ("G2-item",),
}

#: what the checkers here can find
FINDABLE = frozenset(
    [
        *("G1a", "G1b", "internal", "incompatible-order", "duplicate-elements", "lost-update"),
        *("dirty-update", "future-read", "cyclic-versions", "phantom"),
        *(family + level for family in _WEAKER for level in _LEVELS),
        *SHAPE_OF,
    ]
)

#: what is asked of a history by default, as elle-cli does
DEFAULT = ("strict-serializable",)


class UnknownModel(ValueError):
    """A consistency model or anomaly that cannot be checked; the message lists those that can."""


@cache
def _implied(anomaly: str) -> frozenset[str]:
    found = {anomaly}
    for other in MEANS.get(anomaly, ()):
        found |= _implied(other)
    return frozenset(found)


def _implied_models(model: str) -> set[str]:
    found = {model}
    for weaker in IMPLIES[model]:
        found |= _implied_models(weaker)
    return found


def canonical(model: str) -> str:
    """The name used here. Raises UnknownModel."""
    name = ALIASES.get(model, model)
    if name not in IMPLIES:
        raise UnknownModel(
            f"unknown consistency model {model!r}; known are {', '.join(sorted(IMPLIES))}"
        )
    return name


def forbidden(models: Iterable[str]) -> frozenset[str]:
    """The anomalies (and shapes) that findably break any of these models. Raises UnknownModel
    for one that is not known, forbids nothing that can be found, or forbids what cannot."""
    found: set[str] = set()
    for model in models:
        name = canonical(model)
        if name in UNSEEN:
            raise UnknownModel(
                f"consistency model {model!r} forbids {UNSEEN[name]}, which is not looked for; "
                f"choose among {', '.join(_usable())}"
            )
        named = {a for m in _implied_models(name) for a in FORBIDS.get(m, ())}
        own = {a for a in FINDABLE if _implied(a) & named}
        if not own:
            raise UnknownModel(
                f"consistency model {model!r} forbids nothing that is looked for, so that any "
                f"history would pass it; choose among {', '.join(_usable())}"
            )
        found |= own
    return frozenset(found)


def _usable() -> list[str]:
    return sorted(m for m in IMPLIES if m not in UNSEEN and _forbids_anything(m))


def _forbids_anything(model: str) -> bool:
    return any(FORBIDS.get(m) for m in _implied_models(model))


def meaning(anomalies: Iterable[str]) -> frozenset[str]:
    """The findable anomalies that are or imply any of those asked for. Raises UnknownModel."""
    wanted = {_family(anomaly) for anomaly in anomalies}
    known = (FINDABLE | {implied for a in FINDABLE for implied in _implied(a)}) - set(SHAPE_OF)
    strange = sorted(wanted - known)
    if strange:
        raise UnknownModel(
            f"unknown anomalies {', '.join(strange)}; known are {', '.join(sorted(known))}"
        )
    return frozenset(a for a in FINDABLE if _implied(a) & wanted)


def _family(anomaly: str) -> str:
    """The name used here of an anomaly."""
    for item, family in _ITEMS.items():
        if anomaly.startswith(item):
            return family + anomaly.removeprefix(item)
    return anomaly


def impossible(anomalies: Iterable[str]) -> tuple[str, ...]:
    """The weakest models that these anomalies rule out, by name."""
    present = set(anomalies)
    broken = {m for m in _usable() if present & forbidden([m])}
    weakest = [m for m in broken if not (_implied_models(m) - {m}) & broken]
    return tuple(sorted(weakest))


def sought(models: Iterable[str], anomalies: Iterable[str]) -> tuple[frozenset[str], ...]:
    """Sets of names of which each is to be looked for by itself: what the models forbid, and
    each anomaly asked for. Shapes of a family that is there are left out."""
    asked = [meaning([a]) for a in anomalies]
    whole = forbidden(models)
    return tuple(_without_shapes(names) for names in (whole, *asked) if names)


def _without_shapes(names: frozenset[str]) -> frozenset[str]:
    return frozenset(a for a in names if SHAPE_OF.get(a) not in names)


#: how much of the order of versions a model implies: WRITES, of what transactions wrote; ONTO,
#: of what they met before what others wrote; ALL, of all that they met
NONE, WRITES, ONTO, ALL = range(4)


@dataclass(frozen=True)
class VersionOrder:
    """What a model implies of the order of a key's versions: that what a transaction read comes
    before what it wrote, and that versions follow the order of a process, or real time."""

    wfr: bool = False
    process: int = NONE
    realtime: int = NONE


def version_order(models: Iterable[str]) -> VersionOrder:
    """What all these models together imply. Raises UnknownModel."""
    below = {m for model in models for m in _implied_models(canonical(model))}

    def scope(strong: str) -> int:
        weaker = ("read-uncommitted", "read-committed", "snapshot-isolation")
        return max((i for i, m in enumerate(weaker, WRITES) if f"{strong}-{m}" in below), default=0)

    return VersionOrder("read-committed" in below, scope("strong-session"), scope("strong"))
