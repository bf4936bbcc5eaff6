"""A workload: what clients do, what is read in the end, and which model judges it.

A workload holds no state and no randomness of its own. Its load is a generator drawn from
the seed it is given; its options are named, typed and bounded, and everything else about
them is an error with what is allowed.

Each workload belongs to one language of operations. Those of model `dynamo` speak get, put and
delete with contexts; every other one speaks the fs of the model that judges it, without contexts
(workloads.plain).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

from dynamesis.checkers.graph.run import Run
from dynamesis.checkers.history.op import JsonObject, Op
from dynamesis.checkers.models.dynamo import CHECKERS
from dynamesis.checkers.verdict import CheckerResult
from dynamesis.harness import generators as gen
from dynamesis.harness.generators import Generator, Rng
from dynamesis.harness.generators.validate import GeneratorError
from dynamesis.workloads.script.colocated_keys import colocated_key, together
from dynamesis.workloads.script.final_reads import each_once, on_each
from dynamesis.workloads.script.requests import REQUEST_OPTIONS, asking
from dynamesis.workloads.script.script import Script, scripted
from dynamesis.workloads.script.settings import DISTRIBUTION, Load, Option, Setting, Value
from dynamesis.workloads.script.shared import (
    WHOLE,
    SharableScript,
    Share,
    SharedScript,
    perform_together,
)

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


#: The values of a workload's options, by name.
Chosen = Mapping[str, Value]


def _nothing(_: Chosen) -> Mapping[str, Any]:
    return {}


@dataclass(frozen=True)
class Workload:
    """What clients do, what is read in the end, and which model judges it. Either an instance
    with these fields, or a subclass that has them as attributes (docs/workloads.md)."""

    name: str = ""
    #: what it does and what it can catch
    description: str = ""
    #: what one client does
    script: Callable[[Load], Script] | None = None
    #: names of checkers.models.dynamo.CHECKERS, for model dynamo
    checkers: tuple[str, ...] = GENERAL
    options: Mapping[str, Option] = field(default_factory=dict)
    #: the checker of this workload alone
    check: Callable[[Run], CheckerResult] | None = None
    #: how many keys it uses for each that it is given
    spread: int = 1
    #: whether these lie in one partition
    packed: bool = False
    #: how many of them have a colocated key beside them
    colocated: int = 0
    #: whether its keys lie where the last writer wins
    lww: bool = False
    #: instead of `script`: what all clients do together
    shared: Callable[[Load], SharedScript] | None = None
    #: the name in checkers.models.models.MODELS of the model that judges it
    model: str = DYNAMO
    #: the model's options (checkers.models.models.ModelOptions), from those of the workload
    model_options: Callable[[Chosen], Mapping[str, Any]] = _nothing
    #: the fs that a client must perform
    operations: tuple[str, ...] = ("get", "put", "delete")
    #: the final reads of these keys, with the options; by default a get or a read of each
    final: Callable[[Sequence[str], Chosen], Iterable[Op]] | None = None
    #: whether each final read is made on every node
    every_node: bool = False
    #: what else test.json has for the model, from the options: total_amount, initial, ...
    facts: Callable[[Chosen], Mapping[str, Any]] = _nothing

    def __post_init__(self) -> None:
        """What a subclass defines takes the place of a default."""
        own = {name for cls in type(self).__mro__ if _is_own(cls) for name in vars(cls)}
        for each in fields(Workload):
            given = vars(self)[each.name]
            default = each.default_factory() if callable(each.default_factory) else each.default
            if each.name in own and given == default:
                object.__delattr__(self, each.name)

    @property
    def params(self) -> dict[str, object]:
        """The parameters of nodes that it needs (cluster.core.protocol.params)."""
        return {"lww_buckets": [LWW_BUCKET]} if self.lww else {}

    def promises(self, options: Chosen | None = None) -> JsonObject:
        """What test.json has because of it, when its options are these: the model with its
        options, the fs of the final reads, and what the model is to know."""
        chosen = self.configure(options)
        found: JsonObject = {"reconcile": "lww"} if self.lww else {}
        if self.model != DYNAMO:
            final = dict.fromkeys(op.f for op in self._final(("k",), chosen))
            found |= {"model": self.model, "model_options": dict(self.model_options(chosen))}
            found |= {"final": list(final)}
        return found | dict(self.facts(chosen))

    def keys(self, given: Iterable[str]) -> tuple[str, ...]:
        """The keys that it uses when given these."""
        used = tuple(f"{LWW_BUCKET}/{key}" for key in given) if self.lww else tuple(given)
        if self.packed:
            used = tuple(name for key in used for name in together(key, self.spread))
        elif self.spread > 1:
            used = tuple(f"{key}.{i}" for key in used for i in range(self.spread))
        return (*used, *(colocated_key(key) for key in used[: self.colocated]))

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
        share: Share = WHOLE,
    ) -> Generator:
        """The load, without end: `rate` operations a second over all client threads
        together, in clumps, since what goes wrong between two operations goes wrong when
        they meet. `setting`: the cluster that it meets; `share`: the part of one driver, for a
        workload that can be `shared_out`. Raises ValueError for wrong options."""
        chosen, used, met = self.configure(options), self.keys(keys), setting or Setting()
        load = Load(rng.split("scripts"), 0, used, chosen, met)
        source = self._source(load, share)
        return gen.rate(rate, source, share.stream(rng.split("rate")), "clumped", endless=True)

    def shared_out(self, options: Chosen | None = None) -> bool:
        """Whether several drivers can each schedule a share of its load: where each client has a
        script of its own, or what all do together can be shared."""
        own = type(self)
        if (own.generator, own._source) != (Workload.generator, Workload._source):
            return False
        if self.script is not None or self.shared is None:
            return True
        load = Load(Rng(0), 0, self.keys(("k",)), self.configure(options), Setting())
        return isinstance(self.shared(load), SharableScript)

    def _source(self, load: Load, share: Share) -> Generator:
        """What `share` of all clients do; scripts of single clients know no share."""
        make = self.script
        if make is None:
            if self.shared is None:
                raise TypeError(f"workload {self.name or type(self).__name__} has no script")
            whole = self.shared(load)
            if share is WHOLE:
                return perform_together(whole)
            assert isinstance(whole, SharableScript)
            return perform_together(whole.share(share))

        def script(own: Rng, thread: int) -> Script:
            own_load = replace(load, rng=own, thread=thread)
            return asking(make(own_load), own_load)

        return scripted(load.rng, script)

    def final_generator(
        self,
        keys: Iterable[str],
        options: Chosen | None = None,
        used: Iterable[str] = (),
        nodes: Iterable[str] = (),
    ) -> Generator:
        """The final reads, each retried a bounded number of times. `keys`: the given ones;
        `used`: those that the load used (workloads.script.used_keys), where it makes up its own;
        `nodes`: those that are each to be read, for a workload with `every_node`."""
        every = self.keys(keys) if self.model == DYNAMO else tuple(used) or self.keys(keys)
        reads, asked = self._final(every, self.configure(options)), tuple(nodes)
        return each_once(on_each(asked, reads) if self.every_node and asked else reads)

    def _final(self, keys: Sequence[str], chosen: Chosen) -> Iterable[Op]:
        if self.final is not None:
            made: object = self.final(keys, chosen)
            reads = list(made) if isinstance(made, Iterable) else None
            if reads is None or not all(isinstance(op, Op) for op in reads):
                raise GeneratorError(
                    f"workload {self.name}: final returned {made!r:.80}; it must return operations"
                )
            return reads
        f = "get" if self.model == DYNAMO else "read"
        return [gen.invoke(f, key=key) for key in keys]


def _is_own(cls: type) -> bool:
    return issubclass(cls, Workload) and cls is not Workload
