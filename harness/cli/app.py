"""The commands, and the exit code of every way in which one can end."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from importlib import import_module
from importlib.metadata import version as installed
from itertools import pairwise
from typing import Annotated
from unicodedata import category

import typer
from dynamesis.harness.cli.command import GroupedCommand
from dynamesis.harness.usage.exits import VALID, UsageError
from dynamesis.harness.usage.outcome import outcome

#: What some versions of typer make of a KeyboardInterrupt.
_INTERRUPTED = 130

#: By its name the module of each command, whose `run` has its flags as parameters. A module is
#: imported when its command is called, or when the help lists all.
COMMANDS = {
    "test": "dynamesis.harness.cli.test",
    "campaign": "dynamesis.harness.cli.campaign",
    "hunt": "dynamesis.harness.cli.hunt",
    "replay": "dynamesis.harness.cli.replay",
    "merge": "dynamesis.harness.cli.stored.merge",
    "simulate": "dynamesis.harness.cli.simulate",
    "check": "dynamesis.harness.cli.check",
    "report": "dynamesis.harness.cli.stored.report",
    "export": "dynamesis.harness.cli.stored.export",
    "zoo": "dynamesis.harness.cli.zoo",
    "serve": "dynamesis.harness.cli.stored.serve",
    "init": "dynamesis.harness.cli.init",
    "experiment": "dynamesis.harness.cli.experiment",
    "shrink": "dynamesis.harness.cli.shrink",
    "list": "dynamesis.harness.cli.listing",
    "docs": "dynamesis.harness.cli.docs",
    "log": "dynamesis.harness.cli.stored.log",
    "cluster": "dynamesis.harness.cli.local.cluster",
    "get": "dynamesis.harness.cli.local.get",
    "put": "dynamesis.harness.cli.local.put",
    "delete": "dynamesis.harness.cli.local.delete",
    "status": "dynamesis.harness.cli.local.status",
    "explain": "dynamesis.harness.cli.local.explain",
    "repair": "dynamesis.harness.cli.local.repair",
    "join": "dynamesis.harness.cli.local.join",
    "leave": "dynamesis.harness.cli.local.leave",
    "remove": "dynamesis.harness.cli.local.remove",
}


def command_line(commands: Iterable[str] = COMMANDS) -> typer.Typer:
    """The command line with these commands, and `bench` where that is all."""
    app = typer.Typer(
        name="dynamesis",
        help="Break a Dynamo cluster, heal it, and say with proof whether it kept its promises.",
        epilog="Exit codes: 0 valid, 1 invalid, 2 wrong usage, 3 unknown, 4 environment failed.",
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback(invoke_without_command=True)(_main)
    for name in commands:
        app.command(name, cls=GroupedCommand)(import_module(COMMANDS[name]).run)
    if commands is COMMANDS:
        from dynamesis.harness.cli import bench

        parts = typer.Typer(help="What the parts cost on this machine.", rich_markup_mode=None)
        parts.command("checkers")(bench.checkers)
        parts.command("node")(bench.node)
        app.add_typer(parts, name="bench")
    return app


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


def _check_store(arguments: Sequence[str]) -> None:
    """Raises UsageError for a folder that cannot be named in the files of its tests, in text and in
    one line."""
    given = [each.removeprefix("--store=") for each in arguments if each.startswith("--store=")]
    for store in (*given, *(value for flag, value in pairwise(arguments) if flag == "--store")):
        if not store:
            raise UsageError("--store: is empty; name a folder")
        if any(category(character) in ("Cc", "Cs") for character in store):
            raise UsageError(
                f"--store: {store!a} has control characters, or bytes that are not UTF-8; name "
                "another folder"
            )


def _run_command(arguments: Sequence[str]) -> int:
    _check_store(arguments)
    app = command_line(arguments[:1] if arguments[:1] and arguments[0] in COMMANDS else COMMANDS)
    try:
        ended = typer.main.get_command(app).main(
            args=list(arguments), prog_name="dynamesis", standalone_mode=False, obj=arguments
        )
    except typer.Abort:
        raise KeyboardInterrupt from None
    if ended == _INTERRUPTED:
        raise KeyboardInterrupt
    return ended if isinstance(ended, int) else VALID
