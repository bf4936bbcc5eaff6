"""A workload: what clients do, what is read in the end, and which checkers judge it.

A workload holds no state and no randomness of its own. Its load is a generator drawn from
the seed it is given; its options are named, typed and bounded, and everything else about
them is an error with what is allowed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from dynamesis.checkers.graph.run import Run
from dynamesis.checkers.models.dynamo import CHECKERS
from dynamesis.checkers.verdict import CheckerResult
from dynamesis.harness import generators as gen
from dynamesis.harness.generators import Generator, Rng
from dynamesis.workloads.script.colocated_keys import together, twin
from dynamesis.workloads.script.final_reads import final_reads
from dynamesis.workloads.script.requests import REQUEST_OPTIONS, asking
from dynamesis.workloads.script.script import Script, scripted
from dynamesis.workloads.script.settings import DISTRIBUTION, Load, Option, Setting, Value

__all__ = [
    "DISTRIBUTION",
    "DYNAMO",
    "GENERAL",
    "LWW_BUCKET",
    "REQUEST_OPTIONS",
    "Load",
    "Option",
    "Setting",
    "Value",
    "Workload",
]

#: The checkers of model dynamo that suit every workload.
GENERAL = tuple(name for name in CHECKERS if name != "cart")

#: The model of the workloads that speak with contexts.
DYNAMO = "dynamo"

#: The bucket, the part of a key before its first "/", where the last writer wins.
LWW_BUCKET = "lww"


@dataclass(frozen=True)
class Workload:
    """What clients do, what is read in the end, and which checkers judge it."""

    name: str
    #: what it does and what it can catch
    description: str
    #: what one client does
    script: Callable[[Load], Script]
    #: names of checkers.models.dynamo.CHECKERS
    checkers: tuple[str, ...] = GENERAL
    options: Mapping[str, Option] = field(default_factory=dict)
    #: the checker of this workload alone
    check: Callable[[Run], CheckerResult] | None = None
    #: how many keys it uses for each that it is given
    spread: int = 1
    #: whether these lie in one partition
    packed: bool = False
    #: how many of them have a twin beside them
    twins: int = 0
    #: whether its keys lie where the last writer wins
    lww: bool = False
    #: the model that judges it (checkers.models.models)
    model: str = DYNAMO

    @property
    def params(self) -> dict[str, Any]:
        """The parameters of nodes that it needs (cluster.core.protocol.params)."""
        return {"lww_buckets": [LWW_BUCKET]} if self.lww else {}

    @property
    def promises(self) -> dict[str, Any]:
        """What test.json has for the checkers because of it."""
        return {"reconcile": "lww"} if self.lww else {}

    def keys(self, given: Iterable[str]) -> tuple[str, ...]:
        """The keys that it uses when given these."""
        used = tuple(f"{LWW_BUCKET}/{key}" for key in given) if self.lww else tuple(given)
        if self.packed:
            used = tuple(name for key in used for name in together(key, self.spread))
        elif self.spread > 1:
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
        setting: Setting | None = None,
    ) -> Generator:
        """The load, without end: `rate` operations a second over all client threads
        together, in clumps, since what goes wrong between two operations goes wrong when
        they meet. `setting`: the cluster that it meets. Raises ValueError for wrong options."""
        chosen, used = self.configure(options), self.keys(keys)

        def script(own: Rng, thread: int) -> Script:
            load = Load(own, thread, used, chosen, setting or Setting())
            return asking(self.script(load), load)

        scripts = scripted(rng.split("scripts"), script)
        return gen.rate(rate, scripts, rng.split("rate"), "clumped")

    def final_generator(self, keys: Iterable[str]) -> Generator:
        """The final reads: each key once, retried a bounded number of times."""
        return final_reads(self.keys(keys))
