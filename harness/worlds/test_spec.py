"""Everything that a test can be asked for, as one typed value.

A field of `TestSpec` is one option. From it derive the flag of `dynamesis test` (and of
`dynamesis cluster`, where the field describes a cluster), the key of a campaign's
configuration, the argument of `run_test`, and the part `spec` of test.json. To add an
option, add the field here and use it where it takes effect.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any, ClassVar, Self

from dynamesis.harness.results.documents import JsonObject
from dynamesis.harness.usage.values import one_of
from dynamesis.harness.worlds.flag_kinds import (
    CLUSTER,
    LOAD,
    LONGEST,
    SHORTEST,
    Flag,
    declared,
    default_of,
    plain,
)

#: Most nodes that one machine is asked to run; the routes between them are the square of it.
MOST_NODES = 20
#: ... and in virtual time.
MOST_SIMULATED = 100
#: The target that is tested by default.
DYNAMO = "dynamo"


@dataclass(frozen=True)
class TestSpec:
    """A test as it is asked for. Each value is checked on its own; harness.worlds.options
    checks that they make sense together."""

    __test__: ClassVar[bool] = False

    target: str = declared(DYNAMO, "The store to test.", "name", choices="targets", files=True)
    target_option: tuple[str, ...] = declared(
        (), "Set NAME=VALUE for the target (see `dynamesis list`); may be repeated.", "repeated"
    )
    bin: str | None = declared(
        None,
        "The program to test, a file or a command line, for targets that run one of your own.",
        "text",
    )
    target_version: str | None = declared(
        None,
        "Another version of the store, for upgrade faults; for dynamo a virtual environment or a "
        "checkout.",
        "text",
    )
    world: str = declared(
        "processes",
        "What it runs in: processes on this machine, or simulated nodes in virtual time.",
        "name",
        choices="worlds",
    )
    workload: str | None = declared(
        None,
        "What clients do; the first that the target speaks when absent.",
        "name",
        choices="workloads",
        campaign=False,
        files=True,
    )
    model: str | None = declared(
        None,
        "Judge by this model instead of the workload's own.",
        "name",
        choices="models",
        files=True,
    )
    option: tuple[str, ...] = declared(
        (), "Set NAME=VALUE for the workload (see `dynamesis list`); may be repeated.", "repeated"
    )
    nemesis: tuple[str, ...] | None = declared(
        None,
        "Faults to inject, several by comma; cut when absent. Members of a family, such as "
        "cut.one, are in `dynamesis list`.",
        "names",
        choices="nemeses",
        files=True,
        campaign=False,
    )
    schedule: Path | None = declared(  # noqa: RUF009
        None,
        "Replay the faults in this file, such as the schedule.yaml of a test.",
        "path",
        campaign=False,
    )
    seed: int | None = declared(
        None,
        "Seed of everything that is random; drawn when absent.",
        "integer",
        bounds=(0, 2**63 - 1),
        campaign=False,
    )
    bug: tuple[str, ...] = declared(
        (),
        "Plant a bug, NAME or FILE.py:NAME, in every node; may be repeated.",
        "repeated",
        cluster=True,
        target=DYNAMO,
    )
    nodes: int | None = declared(
        None,
        "How many nodes; as many as the target has by default (dynamo: 5).",
        "integer",
        panel=CLUSTER,
        bounds=(1, MOST_SIMULATED),
        cluster=True,
    )
    n: int = declared(
        3,
        "Copies of each key.",
        "integer",
        panel=CLUSTER,
        bounds=(1, MOST_NODES),
        cluster=True,
        target=DYNAMO,
    )
    r: int = declared(
        2,
        "Copies that must answer a get.",
        "integer",
        panel=CLUSTER,
        bounds=(1, MOST_NODES),
        cluster=True,
        target=DYNAMO,
    )
    w: int = declared(
        2,
        "Copies that must acknowledge a put.",
        "integer",
        panel=CLUSTER,
        bounds=(1, MOST_NODES),
        cluster=True,
        target=DYNAMO,
    )
    strict: bool = declared(
        False,
        "No sloppy quorum: only primaries count.",
        "switch",
        panel=CLUSTER,
        cluster=True,
        target=DYNAMO,
    )
    links: str = declared(
        "auto",
        "What the network is made of.",
        "name",
        panel=CLUSTER,
        choices="links",
        cluster=True,
    )
    clocks: str = declared(
        "in-process",
        "How wall clocks are made wrong.",
        "name",
        panel=CLUSTER,
        choices="clocks",
        target=DYNAMO,
    )
    storage: str = declared(
        "lmdb",
        "What nodes persist into.",
        "name",
        panel=CLUSTER,
        choices="storage",
        cluster=True,
        target=DYNAMO,
    )
    param: tuple[str, ...] = declared(
        (),
        "Set NAME=VALUE, in YAML, on every node (docs/node.md); may be repeated.",
        "repeated",
        panel=CLUSTER,
        cluster=True,
        target=DYNAMO,
    )
    tls: Path | None = declared(  # noqa: RUF009
        None,
        "Encrypt everything, with node.pem, node.key and ca.pem of this folder.",
        "path",
        panel=CLUSTER,
        campaign=False,
        cluster=True,
        target=DYNAMO,
    )
    port_base: int | None = declared(
        None,
        "First of the ports to use; by default free ones are found.",
        "integer",
        panel=CLUSTER,
        campaign=False,
        cluster=True,
    )
    time_limit: float = declared(
        10.0,
        "How long the load lasts: 500ms, 10s, 2m.",
        "duration",
        panel=LOAD,
        bounds=(SHORTEST, LONGEST),
        campaign=False,
    )
    rate: float = declared(
        100.0,
        "Operations a second, over all clients.",
        "number",
        panel=LOAD,
        bounds=(0.1, 100_000),
    )
    concurrency: int = declared(10, "How many clients.", "integer", panel=LOAD, bounds=(1, 10_000))
    drivers: int = declared(
        0,
        "Processes that carry out the load; 0 for the harness's own.",
        "integer",
        panel=LOAD,
        bounds=(0, 64),
    )
    keys: int = declared(8, "How many keys.", "integer", panel=LOAD, bounds=(1, 1_000_000))

    @classmethod
    @cache
    def flags(cls) -> Mapping[str, Flag]:
        """Every option by the name of its field."""
        return {
            each.name: Flag(name=each.name, default=default_of(each.default), **each.metadata)
            for each in fields(cls)
        }

    def __post_init__(self) -> None:
        """Values are taken as Python has them (`time_limit=10`, `nemesis=["cut", "kill"]`) or
        as the command line does (`time_limit="10s"`, `nemesis="cut,kill"`); a type checker
        wants the field's own type, and takes the others from `run_test`. Raises UsageError for
        one that is not allowed."""
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
        return {name: plain(value) for name, value in values.items()}


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
