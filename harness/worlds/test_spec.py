"""Everything that a test can be asked for, as one typed value.

A field of `TestSpec` is one option. From it derive the flag of `dynamesis test` (and of
`dynamesis cluster`, where the field describes a cluster), the key of a campaign's
configuration, the argument of `run_test`, and the part `spec` of test.json. To add an
option, add the field here and use it where it takes effect.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable, Mapping
from dataclasses import MISSING, dataclass, field, fields
from functools import cache
from pathlib import Path
from typing import Any, ClassVar, Literal, Self, TypeVar

from dynamesis.harness.results.documents import JsonObject
from dynamesis.harness.usage.exits import UsageError
from dynamesis.harness.usage.values import duration, one_of, within

Kind = Literal[
    "integer", "number", "duration", "switch", "name", "names", "repeated", "path", "text"
]
T = TypeVar("T")

#: Most nodes that one machine is asked to run; the routes between them are the square of it.
MOST_NODES = 20
#: ... and in virtual time.
MOST_SIMULATED = 100
#: How long a load may last, s.
SHORTEST, LONGEST = 0.1, 30 * 24 * 3600.0
#: The target that is tested by default.
DYNAMO = "dynamo"
#: The headings under which --help lists the flags.
WHAT, CLUSTER, LOAD, OUTPUT = "What is tested", "Cluster", "Load", "Output"


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
        return [f"{self.option}={_text(self.kind, value)}"]


def _flag(default: T, help: str, kind: Kind, **more: Any) -> T:
    """A field of a TestSpec; the rest as in Flag."""
    metadata = {"help": help, "kind": kind, **more}
    return field(default=default, metadata=metadata)


@dataclass(frozen=True)
class TestSpec:
    """A test as it is asked for. Each value is checked on its own; harness.worlds.options
    checks that they make sense together."""

    __test__: ClassVar[bool] = False

    target: str = _flag(DYNAMO, "The store to test.", "name", choices="targets", files=True)
    target_option: tuple[str, ...] = _flag(
        (), "Set NAME=VALUE for the target (see `dynamesis list`); may be repeated.", "repeated"
    )
    bin: str | None = _flag(
        None,
        "The program to test, a file or a command line, for targets that run one of your own.",
        "text",
    )
    target_version: str | None = _flag(
        None,
        "Another version of the store, for upgrade faults; for dynamo a virtual environment or a "
        "checkout.",
        "text",
    )
    world: str = _flag(
        "processes",
        "What it runs in: processes on this machine, or simulated nodes in virtual time.",
        "name",
        choices="worlds",
    )
    workload: str | None = _flag(
        None,
        "What clients do; the first that the target speaks when absent.",
        "name",
        choices="workloads",
        campaign=False,
        files=True,
    )
    model: str | None = _flag(
        None,
        "Judge by this model instead of the workload's own.",
        "name",
        choices="models",
        files=True,
    )
    option: tuple[str, ...] = _flag(
        (), "Set NAME=VALUE for the workload (see `dynamesis list`); may be repeated.", "repeated"
    )
    nemesis: tuple[str, ...] | None = _flag(
        None,
        "Faults to inject, several by comma; cut when absent. Members of a family, such as "
        "cut.one, are in `dynamesis list`.",
        "names",
        choices="nemeses",
        files=True,
        campaign=False,
    )
    schedule: Path | None = _flag(  # noqa: RUF009
        None,
        "Replay the faults in this file, such as the schedule.yaml of a test.",
        "path",
        campaign=False,
    )
    seed: int | None = _flag(
        None,
        "Seed of everything that is random; drawn when absent.",
        "integer",
        bounds=(0, 2**63 - 1),
        campaign=False,
    )
    bug: tuple[str, ...] = _flag(
        (),
        "Plant a bug, NAME or FILE.py:NAME, in every node; may be repeated.",
        "repeated",
        cluster=True,
        target=DYNAMO,
    )
    nodes: int | None = _flag(
        None,
        "How many nodes; as many as the target has by default (dynamo: 5).",
        "integer",
        panel=CLUSTER,
        bounds=(1, MOST_SIMULATED),
        cluster=True,
    )
    n: int = _flag(
        3,
        "Copies of each key.",
        "integer",
        panel=CLUSTER,
        bounds=(1, MOST_NODES),
        cluster=True,
        target=DYNAMO,
    )
    r: int = _flag(
        2,
        "Copies that must answer a get.",
        "integer",
        panel=CLUSTER,
        bounds=(1, MOST_NODES),
        cluster=True,
        target=DYNAMO,
    )
    w: int = _flag(
        2,
        "Copies that must acknowledge a put.",
        "integer",
        panel=CLUSTER,
        bounds=(1, MOST_NODES),
        cluster=True,
        target=DYNAMO,
    )
    strict: bool = _flag(
        False,
        "No sloppy quorum: only primaries count.",
        "switch",
        panel=CLUSTER,
        cluster=True,
        target=DYNAMO,
    )
    links: str = _flag(
        "auto",
        "What the network is made of.",
        "name",
        panel=CLUSTER,
        choices="links",
        cluster=True,
    )
    clocks: str = _flag(
        "in-process",
        "How wall clocks are made wrong.",
        "name",
        panel=CLUSTER,
        choices="clocks",
        target=DYNAMO,
    )
    storage: str = _flag(
        "lmdb",
        "What nodes persist into.",
        "name",
        panel=CLUSTER,
        choices="storage",
        cluster=True,
        target=DYNAMO,
    )
    param: tuple[str, ...] = _flag(
        (),
        "Set NAME=VALUE, in YAML, on every node (docs/node.md); may be repeated.",
        "repeated",
        panel=CLUSTER,
        cluster=True,
        target=DYNAMO,
    )
    tls: Path | None = _flag(  # noqa: RUF009
        None,
        "Encrypt everything, with node.pem, node.key and ca.pem of this folder.",
        "path",
        panel=CLUSTER,
        campaign=False,
        cluster=True,
        target=DYNAMO,
    )
    port_base: int | None = _flag(
        None,
        "First of the ports to use; by default free ones are found.",
        "integer",
        panel=CLUSTER,
        campaign=False,
        cluster=True,
    )
    time_limit: float = _flag(
        10.0,
        "How long the load lasts: 500ms, 10s, 2m.",
        "duration",
        panel=LOAD,
        bounds=(SHORTEST, LONGEST),
        campaign=False,
    )
    rate: float = _flag(
        100.0,
        "Operations a second, over all clients.",
        "number",
        panel=LOAD,
        bounds=(0.1, 100_000),
    )
    concurrency: int = _flag(10, "How many clients.", "integer", panel=LOAD, bounds=(1, 10_000))
    drivers: int = _flag(
        0,
        "Processes that carry out the load; 0 for the harness's own.",
        "integer",
        panel=LOAD,
        bounds=(0, 64),
    )
    keys: int = _flag(8, "How many keys.", "integer", panel=LOAD, bounds=(1, 1_000_000))

    @classmethod
    @cache
    def flags(cls) -> Mapping[str, Flag]:
        """Every option by the name of its field."""
        return {
            each.name: Flag(name=each.name, default=_default(each.default), **each.metadata)
            for each in fields(cls)
        }

    def __post_init__(self) -> None:
        """Values are taken as Python has them (`time_limit=10`, `nemesis=["cut", "kill"]`) or
        as the command line does (`time_limit="10s"`, `nemesis="cut,kill"`). Raises
        UsageError for one that is not allowed."""
        for name, flag in self.flags().items():
            object.__setattr__(self, name, flag.read(getattr(self, name)))

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> Self:
        """The spec with these options. Raises UsageError, also for an unknown option."""
        known = cls.flags()
        return cls(**{one_of("option", name, known): value for name, value in given.items()})

    def arguments(self) -> list[str]:
        """The arguments of `dynamesis test` that ask for this: what identifies a test, and what
        differs from the default."""
        return [
            argument
            for name, flag in self.flags().items()
            if name in _ALWAYS or getattr(self, name) != flag.default
            for argument in flag.write(getattr(self, name))
        ]

    def to_dict(self) -> JsonObject:
        """Plain data, as in test.json."""
        values = {each.name: getattr(self, each.name) for each in fields(self)}
        return {name: _plain(value) for name, value in values.items()}


#: The options that a command always shows, when they have a value.
_ALWAYS = ("workload", "nemesis", "schedule", "time_limit", "seed")


def command(spec: TestSpec, store: Path = Path("store"), junit: Path | None = None) -> str:
    """The shell command that runs a test."""
    more = [] if store == Path("store") else [f"--store={store}"]
    more += [] if junit is None else [f"--junit={junit}"]
    return shlex.join(["dynamesis", "test", *spec.arguments(), *more])


def overrides(notation: Iterable[str]) -> dict[str, Any]:
    """The options that a table notes as flags, `--keys=4` or `--strict`. Of an option that is
    not repeated the last one counts."""
    known, noted = TestSpec.flags(), dict[str, Any]()
    for each in notation:
        name, _, value = each.removeprefix("--").partition("=")
        flag = known[one_of("option", name.replace("-", "_"), known)]
        if flag.kind == "repeated":
            noted[flag.name] = (*noted.get(flag.name, ()), value)
        else:
            noted[flag.name] = value if flag.kind != "switch" else True
    return noted


def _default(default: Any) -> Any:
    assert default is not MISSING, "an option needs a default"
    return default


def _plain(value: Any) -> Any:
    if isinstance(value, Path):
        return str(value)
    return list(value) if isinstance(value, tuple) else value


def _text(kind: Kind, value: Any) -> str:
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
    parts = value.split(",") if isinstance(value, str) else value
    return tuple(dict.fromkeys(_name(flag, part).strip() for part in parts))


def _repeated(flag: Flag, value: Any) -> tuple[str, ...]:
    """One text, several, or a mapping from NAME to VALUE."""
    if isinstance(value, Mapping):
        return tuple(f"{name}={_text('number', it)}" for name, it in value.items())
    texts = (value,) if isinstance(value, str) else tuple(value)
    return tuple(_name(flag, text) for text in texts)


def _any_text(flag: Flag, value: Any) -> str:
    return _name(flag, str(value) if isinstance(value, Path) else value)


def _path(flag: Flag, value: Any) -> Path:
    return Path(value)


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
