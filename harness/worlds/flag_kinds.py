"""The kinds of an option: what its flag or its YAML key may hold, how that is read and written."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import MISSING, dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar

from dynamesis.harness.usage.exits import UsageError
from dynamesis.harness.usage.values import duration, within

#: How long a load may last, s.
SHORTEST, LONGEST = 0.1, 30 * 24 * 3600.0
#: The headings under which --help lists the flags.
WHAT, CLUSTER, LOAD, OUTPUT = "What is tested", "Cluster", "Load", "Output"
Kind = Literal[
    "integer", "number", "duration", "switch", "name", "names", "repeated", "path", "text"
]
T = TypeVar("T")


@dataclass(frozen=True)
class Flag:
    """How an option is written, and what it may be. `bounds`: the least and the greatest
    value; `choices`: the heading of `dynamesis list` under which the allowed names are;
    `campaign`: whether a campaign's configuration may set it; `cluster`: whether
    `dynamesis cluster` has it too; `target`: the only target that has it, if not all have;
    `files`: whether FILE.py:NAME is allowed beside the names."""

    name: str
    help: str
    kind: Kind
    panel: str = WHAT
    default: Any = None
    bounds: tuple[float, float] | None = None
    choices: str | None = None
    campaign: bool = True
    cluster: bool = False
    target: str | None = None
    files: bool = False

    @property
    def option(self) -> str:
        """Such as --time-limit."""
        return f"--{self.name.replace('_', '-')}"

    def read(self, value: Any) -> Any:
        """The field's value, from what a user wrote. Raises UsageError."""
        if value is None:
            return self.default
        read = _READ[self.kind](self, value)
        if self.bounds is not None and read is not None:
            within(self.option, read, *self.bounds)
        return read

    def write(self, value: Any) -> list[str]:
        """The arguments of a command line for this value."""
        if value is None or self.kind == "switch":
            return [self.option] if value else []
        if self.kind == "repeated":
            return [f"{self.option}={each}" for each in value]
        return [f"{self.option}={text_of(self.kind, value)}"]


def declared(default: T, help: str, kind: Kind, **more: Any) -> T:
    """A field of a TestSpec; the rest as in Flag."""
    metadata = {"help": help, "kind": kind, **more}
    return field(default=default, metadata=metadata)


def default_of(default: Any) -> Any:
    """The default of a field; every option has one."""
    assert default is not MISSING, "an option needs a default"
    return default


def plain(value: Any) -> Any:
    """A value as JSON has it."""
    if isinstance(value, Path):
        return str(value)
    return list(value) if isinstance(value, tuple) else value


def text_of(kind: Kind, value: Any) -> str:
    """A value as it is written behind its flag."""
    if kind == "names":
        return ",".join(value)
    if isinstance(value, float):
        text = f"{value:.9f}".rstrip("0").rstrip(".")
        return f"{text}s" if kind == "duration" else text
    return str(value)


def _expected(flag: Flag, value: Any, what: str) -> UsageError:
    return UsageError(f"{flag.option}: {value!r} is not {what}")


def _integer(flag: Flag, value: Any) -> int:
    try:
        if not isinstance(value, bool | float):
            return int(value)
    except (ValueError, TypeError):
        pass
    raise _expected(flag, value, "an integer")


def _number(flag: Flag, value: Any) -> float:
    try:
        if not isinstance(value, bool):
            return float(value)
    except (ValueError, TypeError):
        pass
    raise _expected(flag, value, "a number")


def _duration(flag: Flag, value: Any) -> float:
    low, high = flag.bounds or (SHORTEST, LONGEST)
    return (
        duration(flag.option, value, low, high) if isinstance(value, str) else _number(flag, value)
    )


def _switch(flag: Flag, value: Any) -> bool:
    if isinstance(value, bool):
        return value
    raise _expected(flag, value, "allowed; allowed: true, false")


def _name(flag: Flag, value: Any) -> str:
    if isinstance(value, str):
        return value
    raise _expected(flag, value, "a name")


def _names(flag: Flag, value: Any) -> tuple[str, ...]:
    parts = value.split(",") if isinstance(value, str) else _several(flag, value)
    return tuple(dict.fromkeys(_name(flag, part).strip() for part in parts))


def _several(flag: Flag, value: Any) -> Iterable[Any]:
    if isinstance(value, Iterable):
        return value
    raise _expected(flag, value, "a name, and no list of names")


def _repeated(flag: Flag, value: Any) -> tuple[str, ...]:
    """One text, several, or a mapping from NAME to VALUE."""
    if isinstance(value, Mapping):
        return tuple(f"{name}={text_of('number', it)}" for name, it in value.items())
    texts = (value,) if isinstance(value, str) else _several(flag, value)
    return tuple(_name(flag, text) for text in texts)


def _any_text(flag: Flag, value: Any) -> str:
    return _name(flag, str(value) if isinstance(value, Path) else value)


def _path(flag: Flag, value: Any) -> Path:
    try:
        return Path(value)
    except TypeError:
        raise _expected(flag, value, "a path") from None


_READ: dict[Kind, Callable[[Flag, Any], Any]] = {
    "integer": _integer,
    "number": _number,
    "duration": _duration,
    "switch": _switch,
    "name": _name,
    "names": _names,
    "repeated": _repeated,
    "path": _path,
    "text": _any_text,
}
