"""What the simulated world does to nodes that no fault explains: rare delays at named points.

A node decides, its shell carries. Between the two a clean node must survive whatever a real
machine does: a batch that is late or fails, a timer that is late or early, a message held back
while those of other connections pass. `perturb` decides that for one effect, from the effect
alone and a stream of random numbers; the shell then does it. So the core stays as it is, and the
same seed perturbs the same run in the same places.

What a perturbation never does is what no network or disk may do: messages of one connection keep
their order (one that is held back holds back all behind it), nothing is lost in silence, and a
batch that was reported as durable is.

`priorities` is after PCT (Burckhardt and others 2010): every ordered pair of nodes has a
priority, which is how slow it is, and at so many places, drawn from the seed, that of one pair
changes. Orders that need one link to be far behind all others are then as likely as any.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from random import Random
from typing import Any

from dynamesis.cluster.core.protocol.events import Effect, Persist, Reply, Send, SetTimer

#: a number from 0 on, below 1
Roll = Callable[[], float]
#: seconds that a pair of nodes of each priority adds to a message
_SLOW = (0.0, 0.004, 0.03, 0.2)
#: messages among which the priorities change
_STEPS = 4_000


class Unsent(Send, frozen=True):
    """A Send at the moment at which it may still fail for certain."""


@dataclass(frozen=True)
class Point:
    """A named point. `delays`: from which a delay is drawn (s), negative: that much earlier;
    `fails`: the reason for which the effect fails; `kinds`: types of messages that a Send or
    Reply carries, or the table of a batch; () for all."""

    about: str
    effect: type
    delays: tuple[float, float]
    kinds: tuple[str, ...] = ()
    fails: str = ""

    def concerns(self, kind: str) -> bool:
        return not self.kinds or kind in self.kinds


_TREES = ("TreeRoots", "TreeLeaves", "TreeKeys")

#: every point by name
POINTS: dict[str, Point] = {
    "batch-fails": Point(
        "a batch of records cannot be stored",
        Persist,
        (0.0, 0.3),
        ("objects",),
        "no space left",
    ),
    "hints-fail": Point(
        "a batch of hints cannot be stored", Persist, (0.0, 0.3), ("hints",), "no space left"
    ),
    "batch-late": Point("a batch of records is late", Persist, (0.02, 0.25), ("objects",)),
    "hints-late": Point("a batch of hints is late", Persist, (0.02, 0.8), ("hints",)),
    "meta-late": Point("identity or membership is stored late", Persist, (0.02, 0.8), ("meta",)),
    "meta-fails": Point(
        "identity or membership cannot be stored", Persist, (0.0, 0.3), ("meta",), "no space left"
    ),
    "timer-late": Point("a timer is late", SetTimer, (0.01, 0.6)),
    "timer-early": Point("a timer is early", SetTimer, (-0.2, -0.01)),
    "copy-held": Point("a copy is held back", Send, (0.05, 1.2), ("ReplicaPut",)),
    "read-held": Point("a question of a read is held back", Send, (0.05, 1.2), ("ReplicaGet",)),
    "forward-held": Point("a forwarded put is held back", Send, (0.05, 2.5), ("ForwardPut",)),
    "probe-held": Point("a probe is held back", Send, (0.05, 1.2), ("Ping",)),
    "gossip-held": Point("gossip is held back", Send, (0.05, 2.5), ("Gossip",)),
    "tree-held": Point("a step of an exchange is held back", Send, (0.05, 2.5), _TREES),
    "sync-held": Point("a key of an exchange is held back", Send, (0.05, 2.5), ("SyncKey",)),
    "reap-held": Point("a round of reaping is held back", Send, (0.05, 2.5), ("Reap",)),
    "reply-held": Point("an answer is held back", Reply, (0.05, 1.2)),
    "send-refused": Point("a message is dropped unsent", Unsent, (0.0, 0.05), (), "not sent"),
}


@dataclass(frozen=True)
class Tweaks:
    """How a simulated world behaves where no fault is at work. `latency`, `fsync`: seconds, at
    least and at most; `points`: name of POINTS -> probability; `priorities`: how often the
    priority of a link changes, 0: all links are alike. Raises ValueError for what makes no
    sense."""

    latency: tuple[float, float] = (0.0002, 0.002)
    fsync: tuple[float, float] = (0.0001, 0.001)
    points: Mapping[str, float] = field(default_factory=dict)
    priorities: int = 0

    def __post_init__(self) -> None:
        for name, times in (("latency", self.latency), ("fsync", self.fsync)):
            low, high = _two_numbers(name, times)
            if not 0 <= low <= high < math.inf:
                raise ValueError(f"{name} is {low} to {high}; it must be 0 <= LOW <= HIGH (s)")
        if not isinstance(self.points, Mapping):
            raise ValueError(f"points is {self.points!r}; it must be NAME: PROBABILITY for some")
        for name, probability in self.points.items():
            if name not in POINTS:
                raise ValueError(f"there is no point {name!r}; there are {', '.join(POINTS)}")
            if not _is_number(probability) or not 0 <= probability <= 1:
                raise ValueError(f"{name} is {probability}; it must be 0 to 1")
        if type(self.priorities) is not int or self.priorities < 0:
            raise ValueError(f"priorities is {self.priorities}; it must be an integer, 0 or more")

    @property
    def unsteady(self) -> tuple[str, ...]:
        """For what nodes may refuse requests with no fault active: "late" for messages, timers or
        batches that are so at random, "storage" for batches that fail. The speed of network and
        disks alone explains no refusal: it is the same for all, and known."""
        struck = [POINTS[name] for name, chance in self.points.items() if chance]
        late = self.priorities > 0 or bool(struck)
        fails = any(point.fails and point.effect is Persist for point in struck)
        return (("late",) if late else ()) + (("storage",) if fails else ())

    @cached_property
    def _by_effect(self) -> dict[type, tuple[tuple[str, Point, float], ...]]:
        """Of each type of effect the points that may strike it, by name, each with how likely."""
        found: dict[type, tuple[tuple[str, Point, float], ...]] = {}
        for name, point in POINTS.items():
            if chance := self.points.get(name, 0.0):
                found[point.effect] = (*found.get(point.effect, ()), (name, point, chance))
        return found

    def candidates(self, effect: Effect) -> tuple[tuple[str, Point, float], ...]:
        """The points that may strike an effect of this type."""
        return self._by_effect.get(type(effect), ())

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON: what is not the default."""
        usual = Tweaks()
        given: dict[str, Any] = {
            "latency": list(self.latency),
            "fsync": list(self.fsync),
            "points": {name: self.points[name] for name in POINTS if name in self.points},
            "priorities": self.priorities,
        }
        return {
            name: value for name, value in given.items() if value != _plain(getattr(usual, name))
        }

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> Tweaks:
        """From what `to_dict` makes. Raises ValueError for a name that is not known."""
        unknown = sorted({*given} - {*cls.__dataclass_fields__})
        if unknown:
            known = ", ".join(cls.__dataclass_fields__)
            raise ValueError(f"there is no tweak {unknown[0]!r}; there are {known}")
        values: dict[str, Any] = {
            n: tuple(v) if isinstance(v, list) else v for n, v in given.items()
        }
        return cls(**values)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _two_numbers(name: str, times: object) -> tuple[float, float]:
    if isinstance(times, tuple) and len(times) == 2 and all(map(_is_number, times)):
        return times
    raise ValueError(f"{name} is {times!r}; it must be [LOW, HIGH], in s")


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


@dataclass(frozen=True)
class Perturbation:
    """What is done to one effect: `delay` seconds (negative: a timer fires so much earlier), and
    where `fails` is not empty, it fails for that reason once they have passed."""

    delay: float = 0.0
    fails: str = ""
    point: str = ""


NOTHING = Perturbation()


def perturb(tweaks: Tweaks, roll: Roll, effect: Effect) -> Perturbation:
    """Decide what happens to one effect; rolls only where a point may strike it."""
    candidates = tweaks.candidates(effect)
    if not candidates:
        return NOTHING
    kind = _kind(effect)
    for name, point, chance in candidates:
        if point.concerns(kind) and roll() < chance:
            low, high = point.delays
            return Perturbation(low + (high - low) * roll(), point.fails, name)
    return NOTHING


def _kind(effect: Effect) -> str:
    """The type of the message that an effect carries, or the table of its batch."""
    if isinstance(effect, Send | Reply):
        return type(effect.message).__name__
    if isinstance(effect, Persist):
        return effect.writes[0].table if effect.writes else ""
    return ""


class Priorities:
    """How slow each ordered pair of nodes is, as messages pass."""

    def __init__(self, changes: int, roll: Roll) -> None:
        """`changes`: how many priorities change."""
        self._roll = roll
        self._slow: dict[tuple[str, str], float] = {}
        self._changes = {int(roll() * _STEPS) for _ in range(changes)}
        self._step = 0

    def delay(self, source: str, dest: str) -> float:
        """Seconds that the next message from one node to the other takes longer."""
        pair = source, dest
        if pair not in self._slow:
            self._slow[pair] = self._draw()
        if self._step in self._changes:
            pairs = list(self._slow)
            self._slow[pairs[int(self._roll() * len(pairs))]] = self._draw()
        self._step += 1
        return self._slow[pair]

    def _draw(self) -> float:
        return _SLOW[int(self._roll() * len(_SLOW))]


class Perturber:
    """One run's stream of perturbations, for the shell of its nodes. After `calm()` nothing fails
    and nothing is late any more: what is measured from then on is the node's own recovery."""

    def __init__(self, tweaks: Tweaks, seed: str) -> None:
        self._tweaks = tweaks
        self._roll = Random(f"{seed} points").random
        changes = tweaks.priorities
        slow = Priorities(changes, Random(f"{seed} priorities").random) if changes else None
        #: how slow links are; None: all are alike
        self.priorities: Priorities | None = slow
        #: whether any point may strike
        self.rare = any(tweaks.points.values())
        #: name of a point -> how often it struck
        self.struck: dict[str, int] = {}

    def calm(self) -> None:
        self.priorities, self.rare = None, False

    def on(self, effect: Effect) -> Perturbation:
        """What happens to this effect."""
        if not self.rare:
            return NOTHING
        found = perturb(self._tweaks, self._roll, effect)
        if found is not NOTHING:
            self.struck[found.point] = self.struck.get(found.point, 0) + 1
        return found
