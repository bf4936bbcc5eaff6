"""Understands the arguments of `dynamesis test` without running it."""

from __future__ import annotations

from collections.abc import Sequence

import typer
from dynamesis.harness.cli import test
from dynamesis.harness.usage.exits import UsageError
from dynamesis.harness.usage.flags import ParserError
from dynamesis.harness.worlds.options import FLAGS, asked


def why_not(arguments: Sequence[str]) -> str | None:
    """What `dynamesis test` would say to these arguments, if it refused them; None if not."""
    alone = typer.Typer(add_completion=False)
    alone.command("test")(test.run)
    command = typer.main.get_command(alone)
    try:
        given = command.make_context("test", list(arguments)).params
        asked(**{name: given[name] for name in FLAGS})
    except ParserError as error:
        return str(error.format_message())  # type: ignore[attr-defined]
    except UsageError as error:
        return str(error)
    return None
