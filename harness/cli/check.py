"""`dynamesis check`: judge stored and foreign histories; in place of elle-cli, if wanted."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from dynamesis.harness.usage.catalogue import names
from dynamesis.harness.usage.flags import Json
from typer import Argument, Option

#: The heading of what only some models take.
_OF_MODELS = "Options of models"


Paths = Annotated[
    list[Path],
    Argument(
        help="Folders of tests, or histories: JSON Lines, EDN, JSON, Jepsen's log.", metavar="PATH"
    ),
]
Model = Annotated[
    str | None,
    Option(
        "--model",
        "-m",
        help=f"Judge by this model. One of: {', '.join(names('models'))}; or FILE.py:NAME.",
    ),
]
Format = Annotated[
    str | None,
    Option("--format", "-f", help="jsonl, edn, json or log; by name and content when absent."),
]
ConsistencyModels = Annotated[
    str | None,
    Option(
        "--consistency-models",
        "-c",
        help="What Elle's models must hold, by comma.",
        rich_help_panel=_OF_MODELS,
    ),
]
Anomalies = Annotated[
    str | None,
    Option(
        "--anomalies", "-a", help="What they must not show, by comma.", rich_help_panel=_OF_MODELS
    ),
]
Assume = Annotated[
    str | None,
    Option(help="What rw-register may assume of keys, by comma.", rich_help_panel=_OF_MODELS),
]
Linearizable = Annotated[
    bool,
    Option(
        "--linearizable", help="In set-full, stale reads are anomalies.", rich_help_panel=_OF_MODELS
    ),
]
TotalAmount = Annotated[
    str | None,
    Option(
        "--total-amount",
        "-o",
        help="What a bank's accounts add up to.",
        metavar="NUMBER",
        rich_help_panel=_OF_MODELS,
    ),
]
NegativeBalances = Annotated[
    bool,
    Option(
        "--allow-negative-balances",
        "-n",
        help="A bank's accounts may be below zero.",
        rich_help_panel=_OF_MODELS,
    ),
]
Initial = Annotated[
    str | None,
    Option(
        help="What every register holds at first, as JSON or EDN; nil when absent.",
        rich_help_panel=_OF_MODELS,
    ),
]
AtLeastOnce = Annotated[
    bool,
    Option(
        "--at-least-once", help="A queue may deliver a value again.", rich_help_panel=_OF_MODELS
    ),
]
Fifo = Annotated[
    bool,
    Option(
        "--fifo",
        help="A queue keeps the order in which each process enqueued.",
        rich_help_panel=_OF_MODELS,
    ),
]
Verbose = Annotated[bool, Option("--verbose", "-v", help="Show the anomalies of every history.")]
Export = Annotated[str | None, Option(help="Write each history beside itself, as edn or json.")]
Report = Annotated[
    Path | None, Option(help="Write the page of a history here, as HTML.", metavar="FILE")
]
Junit = Annotated[Path | None, Option(help="Write the verdict here as JUnit XML.")]


def run(
    paths: Paths,
    model: Model = None,
    format: Format = None,
    consistency_models: ConsistencyModels = None,
    anomalies: Anomalies = None,
    assume: Assume = None,
    linearizable: Linearizable = False,
    total_amount: TotalAmount = None,
    negative_balances: NegativeBalances = False,
    initial: Initial = None,
    at_least_once: AtLeastOnce = False,
    fifo: Fifo = False,
    verbose: Verbose = False,
    export: Export = None,
    junit: Junit = None,
    report: Report = None,
    json: Json = False,
) -> int:
    """Judge stored or foreign histories again.

    Prints a verdict a line where there are several, or a model is named.
    """
    from dynamesis.checkers.models.models import ModelOptions
    from dynamesis.harness.check.check_files import Request, check_all
    from dynamesis.harness.usage.values import exact_number, value_of

    options = ModelOptions(
        consistency_models=_parts(consistency_models),
        anomalies=_parts(anomalies),
        assume=_parts(assume),
        linearizable=linearizable,
        total_amount=None if total_amount is None else exact_number("--total-amount", total_amount),
        negative_balances=negative_balances,
        initial=None if initial is None else value_of("--initial", initial),
        at_least_once=at_least_once,
        fifo=fifo,
    )
    request = Request.of(model, options, format, verbose, export, junit, json, report)
    return check_all(paths, request)


def _parts(text: str | None) -> tuple[str, ...]:
    return tuple(part.strip().lstrip(":") for part in (text or "").split(",") if part.strip())
