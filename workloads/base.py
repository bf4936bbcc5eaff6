"""What a workload is: what clients do, what is read in the end, who judges it.

A workload holds no state and no randomness of its own. Its load is a generator drawn from
the seed it is given; its options are named, typed and bounded, and everything else about
them is an error that says what is allowed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, TypeAlias

from checkers import CHECKERS
from checkers.history import History
from checkers.verdict import Verdict
from harness import generators as gen
from harness.generators import Generator, Rng
from harness.generators.distributions import DISTRIBUTIONS, Weighted

from .final import final_reads
from .script import Script, scripted
from .twins import twin

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
        """`given` as a value of this option. Raises ValueError that says what is allowed."""
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


#: The checkers of model dynamo that suit every workload.
GENERAL = tuple(name for name in CHECKERS if name != "cart")

#: The bucket, the part of a key before its first "/", where the last writer wins.
LWW_BUCKET = "lww"

#: How keys are drawn.
DISTRIBUTION = Option("zipf", tuple(DISTRIBUTIONS), "how likely each key is")


@dataclass(frozen=True)
class Load:
    """What a script is made from: its own random stream, the number of its thread, the
    keys, and the options."""

    rng: Rng
    thread: int
    keys: tuple[str, ...]
    options: Mapping[str, Value]

    def number(self, name: str) -> float:
        """The value of a numeric option."""
        return float(self.options[name])

    def distribution(self) -> Weighted[str]:
        """The keys, as likely as the option `distribution` says."""
        return _distribution(str(self.options["distribution"]), self.keys)


@lru_cache(maxsize=8)
def _distribution(name: str, keys: tuple[str, ...]) -> Weighted[str]:
    """Every client draws from the same table, and the table is as long as the keys are many."""
    return DISTRIBUTIONS[name](keys)


@dataclass(frozen=True)
class Workload:
    """`description`: what it does and what it can catch. `script`: what one client does.
    `checkers`: names in checkers.CHECKERS. `check`: what this workload alone can judge.
    `spread`: how many keys it uses for each that it is given; `twins`: how many of these
    have a twin beside them. `lww`: its keys lie where the last writer wins."""

    name: str
    description: str
    script: Callable[[Load], Script]
    checkers: tuple[str, ...] = GENERAL
    options: Mapping[str, Option] = field(default_factory=dict)
    check: Callable[[History], Verdict] | None = None
    spread: int = 1
    twins: int = 0
    lww: bool = False

    @property
    def params(self) -> dict[str, Any]:
        """What nodes must be told for it (cluster.core.params)."""
        return {"lww_buckets": [LWW_BUCKET]} if self.lww else {}

    @property
    def promises(self) -> dict[str, Any]:
        """What test.json must tell the checkers for it."""
        return {"reconcile": "lww"} if self.lww else {}

    def keys(self, given: Iterable[str]) -> tuple[str, ...]:
        """The keys that it uses when given these."""
        used = tuple(f"{LWW_BUCKET}/{key}" for key in given) if self.lww else tuple(given)
        if self.spread > 1:
            used = tuple(f"{key}.{i}" for key in used for i in range(self.spread))
        return (*used, *(twin(key) for key in used[: self.twins]))

    def configure(self, given: Mapping[str, Value] | None = None) -> dict[str, Value]:
        """Every option's value: the given one, else the default. Raises ValueError for a
        name or a value that this workload does not take."""
        given = given or {}
        for name in given:
            if name not in self.options:
                known = ", ".join(self.options) or "none"
                raise ValueError(f"workload {self.name} has no option {name!r}: it has {known}")
        return {
            name: option.parse(name, given.get(name, option.default))
            for name, option in self.options.items()
        }

    def generator(
        self,
        rng: Rng,
        keys: Sequence[str],
        rate: float,
        options: Mapping[str, Value] | None = None,
    ) -> Generator:
        """The load, without end: `rate` operations a second over all client threads
        together, in clumps, since what goes wrong between two operations goes wrong when
        they meet. Raises ValueError for wrong options."""
        chosen, used = self.configure(options), self.keys(keys)

        def script(own: Rng, thread: int) -> Script:
            return self.script(Load(own, thread, used, chosen))

        scripts = scripted(rng.split("scripts"), script)
        return gen.rate(rate, scripts, rng.split("rate"), "clumped")

    def final_generator(self, keys: Iterable[str]) -> Generator:
        """The final reads: each key once, retried a bounded number of times."""
        return final_reads(self.keys(keys))
