"""The commands, and what becomes of every way in which one can end.

Whatever is wrong with what the user typed is told in one line that says what is wrong,
where, and what would be right.
"""

from __future__ import annotations

import sys
import traceback
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
from dynamesis.harness.processes.limits import shortage
from dynamesis.harness.targets.system import EnvironmentFailed
from dynamesis.harness.usage.exits import ENVIRONMENT, UNKNOWN, USAGE, VALID, UsageError
from dynamesis.harness.usage.flags import ParserError

#: What some versions of typer make of a KeyboardInterrupt.
_INTERRUPTED = 130

app = typer.Typer(
    name="dynamesis",
    help="Break a Dynamo cluster, heal it, and say with proof whether it kept its promises.",
    epilog="Exit codes: 0 valid, 1 invalid, 2 wrong usage, 3 unknown, 4 environment failed.",
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("test")(test.run)
app.command("campaign")(campaign.run)
app.command("check")(check.run)
app.command("report")(report.run)
app.command("zoo")(zoo.run)
app.command("serve")(serve.run)
app.command("shrink")(shrink.run)
app.command("list")(listing.run)
app.command("log")(log.run)
app.command("cluster")(cluster.run)
app.command("get")(get.run)
app.command("put")(put.run)
app.command("delete")(delete.run)
app.command("status")(status.run)
app.command("explain")(explain.run)
app.command("repair")(repair.run)
app.command("join")(join.run)
app.command("leave")(leave.run)
app.command("remove")(remove.run)
_bench = typer.Typer(help="What the parts cost on this machine.", rich_markup_mode=None)
_bench.command("checkers")(bench.checkers)
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
        raise UsageError("no command was given; dynamesis --help lists them")


def run(arguments: Sequence[str]) -> int:
    """Run a command line; returns the exit code."""
    program = " ".join(["dynamesis", *arguments[:1]])
    try:
        if "--store=" in arguments or ("--store", "") in pairwise(arguments):
            raise UsageError("--store: is empty; name a folder")
        ended = typer.main.get_command(app).main(
            args=list(arguments), prog_name="dynamesis", standalone_mode=False, obj=arguments
        )
        if ended == _INTERRUPTED:
            raise KeyboardInterrupt
        return ended if isinstance(ended, int) else VALID
    except ParserError as complaint:
        return _tell(_path(complaint), complaint.format_message(), USAGE)  # type: ignore[attr-defined]
    except UsageError as wrong:
        return _tell(program, str(wrong), USAGE)
    except EnvironmentFailed as failure:
        return _tell(program, str(failure), ENVIRONMENT)
    except (KeyboardInterrupt, typer.Abort):
        return _tell(program, "stopped; nothing was judged", UNKNOWN)
    except Exception as error:
        if (lacking := shortage(error)) is not None:
            return _tell(program, lacking, ENVIRONMENT)
        traceback.print_exc()
        return _tell(program, "a defect of dynamesis itself; nothing was judged", UNKNOWN)


def _tell(program: str, what: str, code: int) -> int:
    """In one line, whatever it was made of."""
    print(f"{program}: {' '.join(what.split())}", file=sys.stderr)
    return code


def _path(complaint: Exception) -> str:
    context = getattr(complaint, "ctx", None)
    return context.command_path if context else "dynamesis"
