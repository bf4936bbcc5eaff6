"""Three-valued verdicts: invalid outranks unknown, unknown outranks valid.

A checker that crashes says unknown, never valid; so does one that had no evidence. A
checker that does not apply at all is skipped and says why, and decides nothing.

`assert` must not pass by accident: an unknown has no truth value, and neither has a Verdict or
Results as a whole (any object is true, whatever it found). Their `valid` is compared, with
True, False or "unknown".
"""

from __future__ import annotations

import traceback
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NoReturn


class NoTruthValue(AssertionError, TypeError):
    """Something that is neither true nor false was used as a condition."""


class Unknown(StrEnum):
    """The third truth value. Equal to the string "unknown", and encoded as it; `bool` raises
    NoTruthValue, since both `assert valid` and `assert not valid` would be wrong."""

    UNKNOWN = "unknown"

    def __bool__(self) -> NoReturn:
        raise NoTruthValue(
            "the verdict is unknown, which is neither valid nor invalid: compare `valid` with "
            'True, False or "unknown"; `reasons` tells why'
        )


UNKNOWN = Unknown.UNKNOWN
Valid = bool | Unknown


def valid_of(found: object) -> Valid:
    """The verdict that a decoded results.json names. What it does not know is unknown."""
    return found if isinstance(found, bool) else UNKNOWN


def no_truth_value(thing: object) -> NoReturn:
    """The `__bool__` of what holds a verdict: an object would always be true."""
    raise NoTruthValue(
        f"{type(thing).__name__} has no truth value: compare its `valid` with True, False or "
        '"unknown"'
    )


#: anomalies of one name that a checker describes; the rest are only counted
DESCRIBED = 100


@dataclass(frozen=True)
class Anomaly:
    """One proof that something is wrong: its name, the key, the few operations
    (history indices) that prove it, the argument in words, and data behind it. `during`:
    the indices between which its cause must lie, where they are not those of the proof."""

    name: str
    why: str
    key: str | None = None
    ops: tuple[int, ...] = ()
    data: dict[str, Any] = field(default_factory=dict)
    during: tuple[int, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Plain data for results.json."""
        shown = {"name": self.name, "key": self.key, "ops": list(self.ops), "why": self.why}
        return {**shown, "data": self.data} if self.data else shown


@dataclass(frozen=True)
class Verdict:
    """What a checker says. `reasons` tells why a verdict is unknown; `details` holds
    what was measured and not judged; `skipped` why the checker did not apply (then it
    decides nothing); `more` counts, by name, anomalies found beyond those described."""

    valid: Valid
    anomalies: tuple[Anomaly, ...] = ()
    reasons: tuple[str, ...] = ()
    details: dict[str, Any] = field(default_factory=dict)
    skipped: str | None = None
    more: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.valid == UNKNOWN:  # also the plain string
            object.__setattr__(self, "valid", UNKNOWN)

    __bool__ = no_truth_value

    def counts(self) -> dict[str, int]:
        """How many anomalies there are of each name."""
        return dict(Counter(a.name for a in self.anomalies) + Counter(self.more))

    def to_dict(self) -> dict[str, Any]:
        """Plain data for results.json; what is empty is left out."""
        parts: dict[str, Any] = {
            "skipped": self.skipped,
            "counts": self.counts(),
            "anomalies": [a.to_dict() for a in self.anomalies],
            "reasons": list(self.reasons),
            "details": self.details,
        }
        return {"valid": self.valid, **{name: part for name, part in parts.items() if part}}


def judge(
    anomalies: Iterable[Anomaly],
    reasons: Iterable[str] = (),
    details: dict[str, Any] | None = None,
    more: Mapping[str, int] | None = None,
) -> Verdict:
    """Invalid with anomalies, else unknown with reasons, else valid."""
    found, why = tuple(anomalies), tuple(reasons)
    valid: Valid = False if found else UNKNOWN if why else True
    return Verdict(valid, found, why, details or {}, more=more or {})


def skip(reason: str) -> Verdict:
    """A checker that does not apply, or lacks what it needs beside the history."""
    return Verdict(True, skipped=reason)


def merge(verdicts: Iterable[Valid]) -> Valid:
    """The worst of several; True of none."""
    seen = list(verdicts)
    return False if False in seen else UNKNOWN if UNKNOWN in seen else True


def check_safely(name: str, fn: Callable[[], Verdict]) -> Verdict:
    """The checker's verdict; unknown, with the last line of the traceback, if it crashes."""
    try:
        return fn()
    except Exception as error:
        last = traceback.format_exception_only(error)[-1].strip()
        frame = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{frame.filename.rpartition('/')[2]}:{frame.lineno}"
        return Verdict(UNKNOWN, reasons=(f"checker {name} crashed at {where}: {last}",))


@dataclass(frozen=True)
class Results:
    """The verdicts of several checkers on one history."""

    verdicts: Mapping[str, Verdict]

    __bool__ = no_truth_value

    @property
    def valid(self) -> Valid:
        """Skipped checkers decide nothing, but where all were skipped nothing is known."""
        judged = [v.valid for v in self.verdicts.values() if v.skipped is None]
        return merge(judged) if judged else UNKNOWN

    @property
    def anomalies(self) -> tuple[Anomaly, ...]:
        """All that were described, checker by checker."""
        return tuple(a for v in self.verdicts.values() for a in v.anomalies)

    def counts(self) -> dict[str, int]:
        """name of anomaly -> how many."""
        total: Counter[str] = Counter()
        for verdict in self.verdicts.values():
            total.update(verdict.counts())
        return dict(total)

    def reasons(self) -> tuple[str, ...]:
        """Why the whole is not valid although nothing was found."""
        return tuple(r for v in self.verdicts.values() for r in v.reasons)

    def to_dict(self) -> dict[str, Any]:
        """The part of results.json that checkers answer for."""
        return {
            "valid": self.valid,
            "anomalies": self.counts(),
            "checkers": {name: v.to_dict() for name, v in self.verdicts.items()},
        }
