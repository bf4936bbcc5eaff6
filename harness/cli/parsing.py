"""Understands the arguments of a command without running it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import typer
from dynamesis.harness.usage.exits import UsageError

#: Every complaint of the option parser descends from it; typer's own click has no public name.
UsageError_click: type[Exception] = typer.BadParameter.__mro__[2]


def command_of(name: str, arguments: Sequence[str]) -> dict[str, Any]:
    """The values of a command's parameters, by name. Raises UsageError."""
    from dynamesis.harness.cli.app import app

    group = typer.main.get_command(app)
    try:
        return group.commands[name].make_context(name, list(arguments)).params  # type: ignore[attr-defined,no-any-return]
    except UsageError_click as complaint:
        raise UsageError(complaint.format_message()) from complaint  # type: ignore[attr-defined]
