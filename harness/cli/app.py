"""The commands, and the exit code of every way in which one can end."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version as installed
from itertools import pairwise
from typing import Annotated

import typer
from dynamesis.harness.cli import (
    bench,
    campaign,
    check,
    listing,
    log,
    report,
    serve,
    shrink,
    test,
    zoo,
)
from dynamesis.harness.cli.command import Command
from dynamesis.harness.cli.local import (
    cluster,
    delete,
    explain,
    get,
    join,
    leave,
    put,
    remove,
    repair,
    status,
)
from dynamesis.harness.usage.exits import VALID, UsageError
from dynamesis.harness.usage.outcome import outcome

#: What some versions of typer make of a KeyboardInterrupt.
_INTERRUPTED = 130

app = typer.Typer(
    name="dynamesis",
    help="Break a Dynamo cluster, heal it, and say with proof whether it kept its promises.",
    epilog="Exit codes: 0 valid, 1 invalid, 2 wrong usage, 3 unknown, 4 environment failed.",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for _name, _run in {
    "test": test.run,
    "campaign": campaign.run,
    "check": check.run,
    "report": report.run,
    "zoo": zoo.run,
    "serve": serve.run,
    "shrink": shrink.run,
    "list": listing.run,
    "log": log.run,
    "cluster": cluster.run,
    "get": get.run,
    "put": put.run,
    "delete": delete.run,
    "status": status.run,
    "explain": explain.run,
    "repair": repair.run,
    "join": join.run,
    "leave": leave.run,
    "remove": remove.run,
}.items():
    app.command(_name, cls=Command)(_run)
_bench = typer.Typer(help="What the parts cost on this machine.", rich_markup_mode=None)
_bench.command("checkers")(bench.checkers)
_bench.command("node")(bench.node)
app.add_typer(_bench, name="bench")


@app.callback(invoke_without_command=True)
def _main(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Show the version.")] = False,
) -> None:
    if version:
        print(f"dynamesis {installed('dynamesis')}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        print(context.get_help())


def run(arguments: Sequence[str]) -> int:
    """Run a command line; returns the exit code."""
    program = " ".join(["dynamesis", *arguments[:1]])
    return outcome(program, lambda: _run_command(arguments))


def _run_command(arguments: Sequence[str]) -> int:
    if "--store=" in arguments or ("--store", "") in pairwise(arguments):
        raise UsageError("--store: is empty; name a folder")
    try:
        ended = typer.main.get_command(app).main(
            args=list(arguments), prog_name="dynamesis", standalone_mode=False, obj=arguments
        )
    except typer.Abort:
        raise KeyboardInterrupt from None
    if ended == _INTERRUPTED:
        raise KeyboardInterrupt
    return ended if isinstance(ended, int) else VALID
