"""Understands the arguments of a command without running it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import typer
from dynamesis.harness.usage.exits import Wrong

#: Every complaint of the option parser descends from it; typer's own click has no public name.
Complaint: type[Exception] = typer.BadParameter.__mro__[2]


def command_of(name: str, arguments: Sequence[str]) -> dict[str, Any]:
    """The values of a command's parameters, by name. Raises Wrong."""
    from dynamesis.harness.cli.app import app

    group = typer.main.get_command(app)
    try:
        return group.commands[name].make_context(name, list(arguments)).params  # type: ignore[attr-defined,no-any-return]
    except Complaint as complaint:
        raise Wrong(complaint.format_message()) from complaint  # type: ignore[attr-defined]
