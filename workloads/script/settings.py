"""What a script is made from: options with their bounds, and the cluster that it meets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

from dynamesis.harness.generators import Rng
from dynamesis.harness.generators.distributions import DISTRIBUTIONS, Weighted

Value: TypeAlias = "float | int | str"


@dataclass(frozen=True)
class Option:
    """`allowed`: the lowest and the highest number, or the names to choose from. A default
    of type int takes integers only."""

    default: Value
    allowed: tuple[float, float] | tuple[str, ...]
    meaning: str

    @property
    def bounds(self) -> str:
        """What is allowed, in words."""
        if isinstance(self.default, str):
            return ", ".join(map(str, self.allowed))
        low, high = self.allowed
        return f"{low:g} to {high:g}" if isinstance(self.default, float) else f"{low} to {high}"

    def parse(self, name: str, given: Value) -> Value:
        """`given` as a value of this option. Raises ValueError with what is allowed."""
        if isinstance(self.default, str):
            if given in self.allowed:
                return given
            raise ValueError(f"{name}: {given!r} is none of {self.bounds}")
        low, high = self.allowed
        kind = "an integer" if isinstance(self.default, int) else "a number"
        wrong = ValueError(f"{name}: {given!r} is not {kind} from {self.bounds}")
        try:
            number = type(self.default)(given)
        except ValueError:
            raise wrong from None
        if not float(low) <= number <= float(high) or number != float(given):
            raise wrong
        return number


#: How keys are drawn.
DISTRIBUTION = Option("zipf", tuple(DISTRIBUTIONS), "how likely each key is")


@dataclass(frozen=True)
class Setting:
    """What scripts aim at: `n` replicas a key, `durable` if on disks, which the nodes compare
    of their own accord (`compares`); tombstones are reaped after `reap_after` s; each zone has
    `local` of the replicas at least, 0 where there are no zones; so many `clients` take part."""

    n: int = 3
    durable: bool = True
    compares: bool = True
    reap_after: float = 1.0
    local: int = 0
    clients: int = 1


_ANY = Setting()


@dataclass(frozen=True)
class Load:
    """What a script is made from: its own random stream, the number of its thread, the
    keys, the options, and the cluster."""

    rng: Rng
    thread: int
    keys: tuple[str, ...]
    options: Mapping[str, Value]
    setting: Setting = _ANY

    def number(self, name: str) -> float:
        """The value of a numeric option."""
        return float(self.options[name])

    def distribution(self) -> Weighted[str]:
        """The keys, as likely as the option `distribution` has them."""
        return _distribution(str(self.options["distribution"]), self.keys)


@lru_cache(maxsize=8)
def _distribution(name: str, keys: tuple[str, ...]) -> Weighted[str]:
    """Every client draws from the same table, and the table is as long as the keys are many."""
    return DISTRIBUTIONS[name](keys)
