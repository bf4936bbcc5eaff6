"""Every model by name: what `dynamesis check --model` can judge.

A model takes a history and options, and gives a verdict for each of its checkers. ModelOptions
that a model does not know are refused by `judge_run` (`Model.options`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from fractions import Fraction
from functools import partial
from typing import Any

from dynamesis.checkers.dynamo.nodes import check_crashes
from dynamesis.checkers.elle.elle import check_list_append, check_rw_register, wanted
from dynamesis.checkers.elle.version_order import INFERENCES
from dynamesis.checkers.evidence.vacuity import with_evidence
from dynamesis.checkers.graph.run import Run
from dynamesis.checkers.history.history import History
from dynamesis.checkers.models import dynamo
from dynamesis.checkers.models.bank import check_bank
from dynamesis.checkers.models.cas_register import check_cas_register, check_mutex
from dynamesis.checkers.models.converging import check_converging_counter, check_converging_set
from dynamesis.checkers.models.counters import check_counter, check_unique_ids
from dynamesis.checkers.models.echo import check_echo
from dynamesis.checkers.models.explain import with_faults
from dynamesis.checkers.models.independent import each_key, unkeyed
from dynamesis.checkers.models.kv import check_kv
from dynamesis.checkers.models.linearizable_register import check_register
from dynamesis.checkers.models.operations import not_understood
from dynamesis.checkers.models.queue import check_queue
from dynamesis.checkers.models.sets import check_set, check_set_full
from dynamesis.checkers.models.snapshots import check_long_fork
from dynamesis.checkers.verdict import CheckerResult, Results, check_safely, judge


@dataclass(frozen=True)
class ModelOptions:
    """What may be asked for beside the model. `consistency_models` and `anomalies` as in
    elle-cli; `assume` of rw_register.INFERENCES; `test` is test.json. Of a bank: what all
    accounts add up to (None: what the first read shows), and whether one may be negative.
    `initial` is the value that every register holds at first. Of a queue: whether it may deliver a
    value again, and whether it must keep the order of each producer. `eventual`: only final reads
    must show everything, and each of them must, on every node."""

    consistency_models: tuple[str, ...] = ()
    anomalies: tuple[str, ...] = ()
    assume: tuple[str, ...] = ()
    linearizable: bool = False
    total_amount: int | Fraction | None = None
    negative_balances: bool = False
    initial: Any = None
    at_least_once: bool = False
    fifo: bool = False
    eventual: bool = False
    test: Mapping[str, Any] | None = None

    def given(self) -> list[str]:
        """The names of the fields that are not as they are by default."""
        default = ModelOptions()
        names = [field.name for field in fields(self)]
        return [name for name in names if getattr(self, name) != getattr(default, name)]


@dataclass(frozen=True)
class Model:
    """How a model judges, in one line what it is, and which fields of ModelOptions it heeds."""

    judge: Callable[[Run, ModelOptions], Results]
    about: str
    options: frozenset[str] = field(default_factory=frozenset)


def _one(
    name: str, check: Callable[[History, ModelOptions], CheckerResult]
) -> Callable[..., Results]:
    def judge_all(run: Run, options: ModelOptions) -> Results:
        mixed = unkeyed(run.history)
        if mixed is not None:
            return Results({name: judge((), [mixed])})
        return Results({name: check_safely(name, partial(check, run.history, options))})

    return judge_all


def _model(
    name: str, check: Callable[[History, ModelOptions], CheckerResult], about: str, *options: str
) -> tuple[str, Model]:
    return name, Model(_one(name, check), about, frozenset(options))


def _converging(
    name: str,
    always: Callable[[History, ModelOptions], CheckerResult],
    in_the_end: Callable[..., CheckerResult],
    about: str,
    *options: str,
) -> tuple[str, Model]:
    """A model that with `eventual` judges final reads alone: of each key by `in_the_end`."""

    def judge_all(run: Run, asked: ModelOptions) -> Results:
        if not asked.eventual:
            return _one(name, always)(run, asked)
        last = partial(in_the_end, final=run.timeline.final, nodes=_nodes_of(asked))
        return _one(name, lambda h, _: each_key(last, h))(run, asked)

    return name, Model(judge_all, about, frozenset({"eventual", *options}))


def _bank_of(options: ModelOptions) -> dict[str, object]:
    """What test.json has on the bank, and what was asked for beside it."""
    asked: dict[str, object] = {}
    if options.total_amount is not None:
        asked["total_amount"] = options.total_amount
    if options.negative_balances:
        asked["negative_balances"] = True
    return {**(options.test or {}), **asked}


def _initial_of(options: ModelOptions) -> Any:
    """What a register holds at first: as asked, else as in test.json, else nil."""
    return (options.test or {}).get("initial") if options.initial is None else options.initial


def _queue_of(options: ModelOptions) -> dict[str, bool]:
    """What a queue promises: as asked, or as in test.json."""
    test = options.test or {}
    asked = {"at_least_once": options.at_least_once, "fifo": options.fifo}
    return {name: value or test.get(name) is True for name, value in asked.items()}


def _nodes_of(options: ModelOptions) -> tuple[str, ...]:
    """The nodes that final reads must have shown, where test.json names them."""
    nodes = (options.test or {}).get("nodes")
    return tuple(map(str, nodes)) if isinstance(nodes, list) else ()


_ELLE = ("consistency_models", "anomalies")

#: name -> model
MODELS: dict[str, Model] = dict(
    [
        (
            "dynamo",
            Model(
                lambda run, _: dynamo.check_run(run),
                "siblings, contexts, tombstones, replicas that agree in the end",
                frozenset({"test"}),
            ),
        ),
        _model(
            "list-append",
            lambda h, o: each_key(
                lambda part: check_list_append(part, o.consistency_models, o.anomalies),
                h,
                transactions=True,
            ),
            "transactions that append to lists and read them",
            *_ELLE,
        ),
        _model(
            "rw-register",
            lambda h, o: each_key(
                lambda part: check_rw_register(part, o.consistency_models, o.anomalies, o.assume),
                h,
                transactions=True,
            ),
            "transactions that write unique values to registers and read them",
            *_ELLE,
            "assume",
        ),
        _model(
            "register",
            lambda h, o: check_register(h, _initial_of(o)),
            "linearizable registers, key by key",
            "initial",
        ),
        _model(
            "cas-register",
            lambda h, o: check_cas_register(h, _initial_of(o)),
            "linearizable registers with compare-and-set, values may repeat, by search",
            "initial",
        ),
        _model(
            "kv",
            lambda h, _: check_kv(h),
            "linearizable texts: get, put and append, key by key, by search",
        ),
        _model("mutex", lambda h, _: check_mutex(h), "linearizable locks, key by key"),
        _model(
            "set",
            lambda h, o: each_key(check_set, h),
            "elements added, the last read shows all",
        ),
        _converging(
            "set-full",
            lambda h, o: each_key(partial(check_set_full, linearizable=o.linearizable), h),
            check_converging_set,
            "elements added, each read shows all that is known",
            "linearizable",
        ),
        _model(
            "queue",
            lambda h, o: each_key(lambda part: check_queue(part, **_queue_of(o)), h),
            "values enqueued, each dequeued once",
            "test",
            "at_least_once",
            "fifo",
        ),
        _converging(
            "counter",
            lambda h, o: each_key(check_counter, h),
            check_converging_counter,
            "additions, each read within bounds",
        ),
        _model(
            "bank",
            lambda h, o: each_key(partial(check_bank, test=_bank_of(o)), h),
            "transfers, each read has the same total",
            "test",
            "total_amount",
            "negative_balances",
        ),
        _model(
            "long-fork",
            lambda h, o: each_key(check_long_fork, h, transactions=True),
            "no two reads order writes apart",
        ),
        _model(
            "unique-ids", lambda h, o: each_key(check_unique_ids, h), "every id is generated once"
        ),
        _model("echo", lambda h, o: each_key(check_echo, h), "what was sent comes back"),
    ]
)


class BadOption(ValueError):
    """An option that the model does not take, or a value it does not know."""


def check_model(model: str, history: History, options: ModelOptions | None = None) -> Results:
    """Judge by a model of MODELS. Raises BadOption or consistency.UnknownModel for options
    that make no sense; never for what is in the history."""
    asked = options or ModelOptions()
    return judge_run(model, Run(history, asked.test), asked)


def judge_run(model: str, run: Run, options: ModelOptions) -> Results:
    """As `check_model`, for a run of the test `options.test`."""
    if model not in MODELS:
        raise BadOption(f"unknown model {model!r}; known are {', '.join(MODELS)}")
    asked, known = options, MODELS[model].options
    for each in fields(ModelOptions):
        name = each.name
        if name != "test" and getattr(asked, name) != each.default and name not in known:
            raise BadOption(f"model {model} takes no {name.replace('_', '-')}")
    _refuse_strange(asked.assume, INFERENCES)
    if "consistency_models" in known:
        wanted(asked.consistency_models, asked.anomalies)
    reasons = not_understood(run.history, model)
    if reasons:
        return Results({model: judge((), reasons)})
    found = with_evidence(_with_crashes(MODELS[model].judge(run, asked), run), run)
    return with_faults(found, run.timeline)


def _with_crashes(found: Results, run: Run) -> Results:
    """The results with those of `crashes`, where a node ended by itself and the model does not
    judge that."""
    if "crashes" in found.verdicts or not run.timeline.found_dead:
        return found
    return Results(
        {**found.verdicts, "crashes": check_safely("crashes", lambda: check_crashes(run))}
    )


def _refuse_strange(asked: Sequence[str], known: Sequence[str]) -> None:
    strange = [name for name in asked if name not in known]
    if strange:
        raise BadOption(f"cannot assume {strange[0]!r} of keys; known are {', '.join(known)}")
