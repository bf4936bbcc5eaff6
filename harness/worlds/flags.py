"""The command-line flags of a TestSpec, as typer wants them."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Annotated, Any

from dynamesis.harness.usage.catalogue import names
from dynamesis.harness.worlds.flag_kinds import Flag, Kind
from dynamesis.harness.worlds.test_spec import TestSpec
from typer import Option

Body = Callable[..., "int | None"]

_TYPES: dict[Kind, Any] = {
    "integer": int,
    "number": float,
    "duration": str,
    "switch": bool,
    "name": str,
    "names": str,
    "repeated": list[str],
    "path": Path,
    "text": str,
}


def with_flags(
    wanted: Callable[[Flag], bool] = lambda flag: True, **defaults: Any
) -> Callable[[Body], Body]:
    """Gives a command the flags of TestSpec that are `wanted`, some with other defaults. Its
    body takes the spec as its first argument; its other parameters stay flags of their own."""
    flags = [flag for flag in TestSpec.flags().values() if wanted(flag)]

    def decorate(body: Body) -> Body:
        own = inspect.signature(body, eval_str=True)
        mine = [_parameter(flag, defaults.get(flag.name, flag.default)) for flag in flags]
        rest = [each.replace(kind=each.KEYWORD_ONLY) for each in own.parameters.values()][1:]

        @wraps(body)
        def command(**given: Any) -> int | None:
            spec = TestSpec.of({flag.name: given.pop(flag.name) for flag in flags})
            return body(spec, **given)

        parameters = [*mine, *rest]
        described: Any = command  # functions have no declared signature
        described.__signature__ = own.replace(parameters=parameters)
        command.__annotations__ = {each.name: each.annotation for each in parameters}
        return command

    return decorate


def _parameter(flag: Flag, default: Any) -> inspect.Parameter:
    written = flag.write(default)
    if flag.kind == "duration":
        default = written[0].partition("=")[2]
    optional = default is None or flag.kind == "repeated"
    type_ = _TYPES[flag.kind]
    complete = None if flag.choices is None else _completion(names(flag.choices))
    option = Option(
        flag.option, help=_help(flag), rich_help_panel=flag.panel, autocompletion=complete
    )
    return inspect.Parameter(
        flag.name,
        inspect.Parameter.KEYWORD_ONLY,
        default=None if optional else default,
        annotation=Annotated[type_ | None if optional else type_, option],
    )


def _completion(allowed: tuple[str, ...]) -> Callable[[str], list[str]]:
    """Completes a name, also the last of several by comma."""

    def complete(incomplete: str) -> list[str]:
        before, comma, last = incomplete.rpartition(",")
        return [f"{before}{comma}{name}" for name in allowed if name.startswith(last)]

    return complete


def _help(flag: Flag) -> str:
    """With the names and the numbers that are allowed."""
    if flag.choices is not None:
        other = "; or FILE.py:NAME" if flag.files else ""
        return f"{flag.help} One of: {', '.join(names(flag.choices))}{other}."
    return flag.help
