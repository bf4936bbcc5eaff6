"""Three-valued verdicts: invalid outranks unknown, unknown outranks valid.

A checker that crashes is unknown, never valid; so is one without evidence. A checker that
does not apply is skipped with a reason, and decides nothing.

`assert` must not pass by accident: a Verdict has no truth value, and neither has a CheckerResult
or Results. Verdicts are compared: `results.verdict is Verdict.VALID`.

In JSON a verdict is true, false or "unknown". Decoded, `Unknown` refuses `bool` as well.
"""

from __future__ import annotations

import traceback
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum, StrEnum
from typing import NoReturn


class NoTruthValue(AssertionError, TypeError):
    """Something that is neither true nor false was used as a condition."""


class Unknown(StrEnum):
    """The third verdict in JSON. Equal to the string "unknown", and encoded as it; `bool` raises
    NoTruthValue, since both `assert valid` and `assert not valid` would be wrong."""

    UNKNOWN = "unknown"

    def __bool__(self) -> NoReturn:
        raise NoTruthValue(
            "the verdict is unknown, which is neither valid nor invalid: compare `valid` with "
            'True, False or "unknown"; `reasons` has the causes'
        )


JsonVerdict = bool | Unknown


class Verdict(Enum):
    """The judgement on a history, or of one checker. `bool` raises NoTruthValue: an enum member
    would always be true."""

    VALID = "valid"
    INVALID = "invalid"
    UNKNOWN = "unknown"

    def __bool__(self) -> NoReturn:
        raise NoTruthValue(
            f"{self} has no truth value: compare it, as in `verdict is Verdict.VALID`, with "
            "Verdict.VALID, Verdict.INVALID or Verdict.UNKNOWN"
        )

    @property
    def json(self) -> JsonVerdict:
        """As results.json spells it: true, false or "unknown"."""
        return Unknown.UNKNOWN if self is Verdict.UNKNOWN else self is Verdict.VALID

    @classmethod
    def of_json(cls, found: object) -> Verdict:
        """The verdict that a decoded results.json names; anything but a bool is unknown."""
        if isinstance(found, bool):
            return cls.VALID if found else cls.INVALID
        return cls.UNKNOWN


def no_truth_value(thing: object) -> NoReturn:
    """The `__bool__` of an object that holds a verdict: it would always be true."""
    raise NoTruthValue(
        f"{type(thing).__name__} has no truth value: compare its `verdict` with Verdict.VALID, "
        "Verdict.INVALID or Verdict.UNKNOWN"
    )


#: reasons for which a history is too small for its model, and for nothing else
NOTHING_SUCCEEDED = "no transaction succeeded"
NOTHING_INFERRED = "no dependency between transactions could be inferred"
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
    data: Mapping[str, object] = field(default_factory=dict)
    during: tuple[int, ...] = ()

    def to_dict(self) -> dict[str, object]:
        """Plain data for results.json."""
        shown: dict[str, object] = {
            "name": self.name,
            "key": self.key,
            "ops": list(self.ops),
            "why": self.why,
        }
        return {**shown, "data": self.data} if self.data else shown


@dataclass(frozen=True)
class CheckerResult:
    """The result of one checker.

    verdict: skipped checkers are valid, and decide nothing
    anomalies: those that are described
    reasons: why the verdict is unknown
    details: measured, not judged
    skipped: why the checker did not apply
    more: by name, the number of anomalies found beyond those described"""

    verdict: Verdict
    anomalies: tuple[Anomaly, ...] = ()
    reasons: tuple[str, ...] = ()
    details: Mapping[str, object] = field(default_factory=dict)
    skipped: str | None = None
    more: Mapping[str, int] = field(default_factory=dict)

    __bool__ = no_truth_value

    def counts(self) -> dict[str, int]:
        """How many anomalies there are of each name."""
        if not self.anomalies and not self.more:
            return {}
        return dict(Counter(a.name for a in self.anomalies) + Counter(self.more))

    def to_dict(self) -> dict[str, object]:
        """Plain data for results.json; what is empty is left out."""
        parts: dict[str, object] = {
            "skipped": self.skipped,
            "counts": self.counts(),
            "anomalies": [a.to_dict() for a in self.anomalies],
            "reasons": list(self.reasons),
            "details": self.details,
        }
        return {"valid": self.verdict.json, **{name: part for name, part in parts.items() if part}}


def judge(
    anomalies: Iterable[Anomaly],
    reasons: Iterable[str] = (),
    details: Mapping[str, object] | None = None,
    more: Mapping[str, int] | None = None,
) -> CheckerResult:
    """Invalid with anomalies, else unknown with reasons, else valid."""
    found, why = tuple(anomalies), tuple(reasons)
    verdict = Verdict.INVALID if found else Verdict.UNKNOWN if why else Verdict.VALID
    return CheckerResult(verdict, found, why, details or {}, more=more or {})


def skip(reason: str) -> CheckerResult:
    """A checker that does not apply, or lacks what it needs beside the history."""
    return CheckerResult(Verdict.VALID, skipped=reason)


def merge(verdicts: Iterable[Verdict]) -> Verdict:
    """The worst of several; valid for none."""
    seen = set(verdicts)
    worst_first = (Verdict.INVALID, Verdict.UNKNOWN)
    return next((each for each in worst_first if each in seen), Verdict.VALID)


def check_safely(name: str, fn: Callable[[], CheckerResult]) -> CheckerResult:
    """The checker's verdict; unknown, with the last line of the traceback, if it crashes, and
    with what it returned, if that is none."""
    try:
        found: object = fn()
        if isinstance(found, CheckerResult):
            return found
        wrong = f"checker {name} returned {found!r:.80}; it must return a CheckerResult"
        return CheckerResult(Verdict.UNKNOWN, reasons=(wrong,))
    except Exception as error:
        last = traceback.format_exception_only(error)[-1].strip()
        frame = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{frame.filename.rpartition('/')[2]}:{frame.lineno}"
        return CheckerResult(
            Verdict.UNKNOWN, reasons=(f"checker {name} crashed at {where}: {last}",)
        )


@dataclass(frozen=True)
class Results:
    """The verdicts of several checkers on one history."""

    verdicts: Mapping[str, CheckerResult]

    __bool__ = no_truth_value

    @property
    def verdict(self) -> Verdict:
        """Skipped checkers decide nothing; where all were skipped, the verdict is unknown."""
        judged = [each.verdict for each in self.verdicts.values() if each.skipped is None]
        return merge(judged) if judged else Verdict.UNKNOWN

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

    def to_dict(self) -> dict[str, object]:
        """The part of results.json that checkers answer for."""
        return {
            "valid": self.verdict.json,
            "anomalies": self.counts(),
            "checkers": {name: v.to_dict() for name, v in self.verdicts.items()},
        }
