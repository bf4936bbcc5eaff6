"""What a campaign may take: `budget` in its file, and `--budget NAME=VALUE` for one run of it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from dynamesis.harness.results.documents import JsonObject
from dynamesis.harness.results.interval import enough
from dynamesis.harness.usage.exits import UsageError
from dynamesis.harness.usage.values import duration, one_of, within

MOST_RUNS = 100_000
#: bounds of the width of an interval
_NARROWEST, _WIDEST = 0.01, 0.99
_SIZE = re.compile(r"([0-9]+(?:\.[0-9]+)?) ?([kMGT]?i?B)?")
_UNITS = {"B": 1, **{f"{p}B": 1000**n for n, p in enumerate("kMGT", 1)}}
_UNITS |= {f"{p}iB": 1024**n for n, p in enumerate("kMGT", 1)}


@dataclass(frozen=True)
class Budget:
    """`time` in s, after which nothing new begins; `runs` in all; `bytes` that all campaigns of
    this name may take in the store; `reruns` of each test that failed, until the 95% interval of
    its rate is at most `width` wide, from 0 to 1."""

    time: float | None = None
    runs: int | None = None
    bytes: int | None = None
    reruns: int = 3
    width: float | None = None

    def share(self, number: int, of: int) -> Budget:
        """The part of shard `number` of `of`: the runs are shared out; each machine has the time
        and the store to itself."""
        if self.runs is None:
            return self
        return replace(self, runs=self.runs // of + (number <= self.runs % of))

    def to_dict(self) -> JsonObject:
        """Plain data, as in campaign.json."""
        return asdict(self)


def read_budget(given: Mapping[str, Any], flag: str = "", base: Budget | None = None) -> Budget:
    """A budget from its values as a user wrote them, by name; the others are those of `base`. A
    width without a number of reruns has as many of them as it may need. Raises UsageError, whose
    message begins with `flag`."""
    values = {name: _READ[one_of(flag, name, _READ)](name, value) for name, value in given.items()}
    if "width" in values and "reruns" not in values:
        values["reruns"] = enough(values["width"])
    return replace(base or Budget(), **values)


def from_flags(base: Budget, flags: Iterable[str]) -> Budget:
    """The budget with what `--budget NAME=VALUE` changes; several by comma. Raises UsageError."""
    given: dict[str, str] = {}
    for part in (part for flag in flags for part in flag.split(",")):
        name, equals, value = part.strip().partition("=")
        if not equals:
            known = ", ".join(_READ)
            raise UsageError(f"--budget: {part.strip()!r} is not NAME=VALUE; names: {known}")
        given[name] = value
    try:
        return read_budget(given, "--budget", base) if given else base
    except UsageError as wrong:
        text = str(wrong)
        raise UsageError(text if text.startswith("--budget") else f"--budget: {text}") from wrong


def size(name: str, value: Any) -> int:
    """Bytes, from `500MB`, `2GiB` or a number of bytes. Raises UsageError."""
    match = _SIZE.fullmatch(str(value).strip())
    if isinstance(value, bool) or match is None or float(match[1]) == 0:
        raise UsageError(f"{name}: {value!r} is not a size; write 500MB, 2GB or 1GiB")
    return round(float(match[1]) * _UNITS[match[2] or "B"])


def in_words(count: float) -> str:
    """A size to be read: `2.1 GB`."""
    for unit, scale in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= scale:
            return f"{count / scale:.1f} {unit}"
    return f"{count:.0f} B"


def _time(name: str, value: Any) -> float:
    return duration(name, str(value))


def _integer(name: str, value: Any, low: int, high: int) -> int:
    try:
        number = int(value) if not isinstance(value, bool | float) else None
    except (ValueError, TypeError):
        number = None
    if number is None or not low <= number <= high:
        raise UsageError(f"{name}: {value!r} is not an integer from {low} to {high}")
    return number


def _width(name: str, value: Any) -> float:
    try:
        number = float(str(value))
    except ValueError:
        raise UsageError(f"{name}: {value!r} is not a number, such as 0.2") from None
    within(name, number, _NARROWEST, _WIDEST)
    return number


_READ = {
    "time": _time,
    "runs": lambda name, value: _integer(name, value, 1, MOST_RUNS),
    "bytes": size,
    "reruns": lambda name, value: _integer(name, value, 0, 100_000),
    "width": _width,
}
