"""What a test or a cluster is asked to be, checked before anything is started."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml
from dynamesis.cluster.config.config import ConfigError, check_params
from dynamesis.cluster.config.tls import Tls, in_folder
from dynamesis.cluster.storage import ENGINES
from dynamesis.cluster.zoo import resolve
from dynamesis.harness.links import LINKS
from dynamesis.harness.nemesis import (
    CLOCKS,
    PACKAGES,
    Event,
    FaultContext,
    Impossible,
    newcomers,
    plan,
)
from dynamesis.harness.nemesis.schedule_file import load
from dynamesis.harness.processes.ports import LAST, UNPRIVILEGED
from dynamesis.harness.results.yaml_document import YamlError
from dynamesis.harness.usage.exits import UsageError
from dynamesis.harness.usage.values import duration, one_of, within
from dynamesis.harness.worlds.environment import EnvironmentSpec, ports_for
from dynamesis.workloads import WORKLOADS
from dynamesis.workloads.base import Value

#: Ring partitions.
PARTITIONS = 64
#: Most nodes that one machine is asked to run; the routes between them are the square of it.
MOST_NODES = 20
#: Most processes that make the load.
MOST_DRIVERS = 64
#: How long a load may last, s.
SHORTEST, LONGEST = 0.1, 30 * 24 * 3600.0
#: The flags of `dynamesis test` that say what is tested, and how.
FLAGS = (
    *("workload", "option", "nemesis", "schedule", "nodes", "n", "r", "w", "strict"),
    *("time_limit", "rate", "concurrency", "keys", "seed", "links", "clocks", "storage", "bug"),
    *("drivers", "port_base", "param", "tls"),
)


@dataclass(frozen=True)
class Topology:
    """A cluster that makes sense."""

    nodes: tuple[str, ...]
    n: int
    r: int
    w: int
    sloppy: bool
    links: str
    storage: str
    bugs: tuple[str, ...]
    port_base: int | None
    #: certificates, where everything is to be encrypted
    tls: Tls | None
    #: what else nodes are told (cluster.core.protocol.params)
    params: Mapping[str, Any]

    def plan(self, root: Path, logs: Path) -> EnvironmentSpec:
        """How to build it; see EnvironmentSpec for the folders."""
        return EnvironmentSpec(
            nodes=self.nodes,
            links=self.links,
            storage=self.storage,
            root=root.resolve(),
            logs=logs.resolve(),
            params=self.told,
            bugs=self.bugs,
            port_base=self.port_base,
            tls=self.tls,
        )

    @property
    def told(self) -> dict[str, Any]:
        """All parameters of every node."""
        quorum = {"n": self.n, "r": self.r, "w": self.w, "sloppy": self.sloppy}
        return {"partitions": PARTITIONS, **quorum, **self.params}


@dataclass(frozen=True)
class TestOptions:
    """A test that makes sense. `tuning` has every option of the workload; `time_limit` is in
    seconds, `rate` in operations a second, `drivers` the processes that carry them out (0: the
    harness's own), `clocks` how clocks are made wrong; `faults` is what the nemesis does, to the
    last detail."""

    topology: Topology
    workload: str
    tuning: Mapping[str, Value]
    nemesis: tuple[str, ...]
    time_limit: float
    rate: float
    concurrency: int
    drivers: int
    keys: int
    seed: int
    clocks: str
    faults: tuple[Event, ...]

    @property
    def name(self) -> str:
        """The folder of this kind of test, such as cart-cut+kill."""
        return f"{self.workload}-{'+'.join(self.nemesis)}"

    @property
    def given_keys(self) -> tuple[str, ...]:
        """The keys that the workload is given; it may make more of them."""
        return tuple(f"k{i}" for i in range(self.keys))


def asked(**flags: Any) -> TestOptions:
    """The test that these FLAGS of `dynamesis test` ask for. Raises UsageError for the first value
    or combination that makes no sense."""
    place = {name: flags.pop(name) for name in ("nodes", "n", "r", "w", "links", "storage")}
    bugs, sloppy = flags.pop("bug") or [], not flags.pop("strict")
    more = {name: flags.pop(name) for name in ("port_base", "param", "tls")}
    built = topology(**place, bugs=bugs, sloppy=sloppy, **more)
    return test_options(built, **flags)


def topology(
    *,
    nodes: int,
    n: int,
    r: int,
    w: int,
    links: str,
    storage: str,
    bugs: list[str],
    param: list[str] | None = None,
    tls: Path | None = None,
    **rest: Any,
) -> Topology:
    """Raises UsageError for the first value or combination that makes no sense."""
    within("--nodes", nodes, 1, MOST_NODES)
    within("--n", n, 1, MOST_NODES)
    if n > nodes:
        raise UsageError(f"--n: {n} copies need at least {n} nodes, and --nodes is {nodes}")
    for flag, value in (("--r", r), ("--w", w)):
        within(flag, value, 1, MOST_NODES)
        if value > n:
            raise UsageError(f"{flag}: {value} answers cannot come from {n} copies (--n {n})")
    built = Topology(
        nodes=tuple(f"n{i}" for i in range(1, nodes + 1)),
        n=n,
        r=r,
        w=w,
        links=one_of("--links", links, LINKS),
        storage=one_of("--storage", storage, ENGINES),
        bugs=tuple(_bug(bug) for bug in bugs),
        params=dict(map(_param, param or [])),
        tls=None if tls is None else _certificates(tls),
        **rest,
    )
    try:
        check_params(built.nodes, built.told)
    except ConfigError as error:
        raise UsageError(f"--param: {str(error).removeprefix('params').lstrip('.: ')}") from error
    room(built)
    return built


def room(topology: Topology, more: int = 0) -> None:
    """Raises UsageError unless the ports from --port-base on are enough, with `more` nodes."""
    if topology.port_base is not None:
        wanted = ports_for(topology.links, len(topology.nodes) + more)
        within("--port-base", topology.port_base, UNPRIVILEGED, LAST - wanted + 1)


def test_options(
    topology: Topology,
    *,
    workload: str,
    nemesis: str | None,
    time_limit: str,
    rate: float,
    concurrency: int,
    drivers: int,
    keys: int,
    seed: int | None,
    schedule: Path | None,
    clocks: str,
    option: list[str] | None,
) -> TestOptions:
    """Faults come from `schedule`, a file, or are drawn for `nemesis` (cut, if neither is
    given). Raises UsageError for the first value or combination that makes no sense."""
    within("--rate", rate, 0.1, 100_000)
    within("--concurrency", concurrency, 1, 10_000)
    within("--drivers", drivers, 0, MOST_DRIVERS)
    within("--keys", keys, 1, 1_000_000)
    if seed is not None:
        within("--seed", seed, 0, 2**63 - 1)
    if schedule is not None and nemesis is not None:
        raise UsageError("--schedule: takes the place of --nemesis; give one of them")
    options = TestOptions(
        topology=topology,
        workload=one_of("--workload", workload, WORKLOADS),
        tuning=_tuning(workload, option or []),
        nemesis=_names("cut" if nemesis is None else nemesis),
        time_limit=duration("--time-limit", time_limit, SHORTEST, LONGEST),
        rate=rate,
        concurrency=concurrency,
        drivers=drivers,
        keys=keys,
        seed=secrets.randbelow(2**32) if seed is None else seed,
        clocks=one_of("--clocks", clocks, CLOCKS),
        faults=(),
    )
    if schedule is not None:
        return _replayed(options, schedule)
    try:
        faults = plan(options.nemesis, _arena(options), options.seed, options.time_limit)
    except Impossible as reason:
        raise UsageError(f"--nemesis: {reason}") from reason
    room(topology, newcomers(faults))
    return replace(options, faults=faults)


def _arena(options: TestOptions) -> FaultContext:
    """What the nemesis has to do with."""
    top = options.topology
    kinds, volatile = LINKS[top.links].kinds, top.storage == "memory"
    keys = WORKLOADS[options.workload].keys(options.given_keys)
    compares = top.told.get("anti_entropy_interval") != 0
    told = top.told
    buffered = told.get("durability") == "buffered" and told.get("durable_replicas", 1) < 2
    return FaultContext.draw(
        top.nodes, kinds, options.seed, top.w, volatile, keys, top.n, compares, buffered
    )


def _replayed(options: TestOptions, path: Path) -> TestOptions:
    try:
        faults = load(path.read_text(encoding="utf-8"), str(path), _arena(options))
    except (OSError, UnicodeDecodeError) as failure:
        raise UsageError(f"--schedule: {path} cannot be read ({failure})") from failure
    except YamlError as malformed:
        raise UsageError(f"--schedule: {malformed}") from malformed
    room(options.topology, newcomers(faults))
    families = dict.fromkeys((event.action.member or "").partition(".")[0] for event in faults)
    return replace(options, faults=faults, nemesis=tuple(families) or ("none",))


def _tuning(workload: str, given: list[str]) -> dict[str, Value]:
    """Every option of a workload, as given by NAME=VALUE or by default."""
    chosen: dict[str, Value] = {}
    for each in given:
        name, equals, value = each.partition("=")
        if not equals:
            raise UsageError(f"--option: {each!r} is no NAME=VALUE")
        if name in chosen:
            raise UsageError(f"--option: {name} is given twice")
        chosen[name] = value
    try:
        return WORKLOADS[workload].configure(chosen)
    except ValueError as senseless:
        raise UsageError(f"--option: {senseless}") from senseless


def _param(given: str) -> tuple[str, Any]:
    """NAME=VALUE, the value as YAML has it."""
    name, equals, text = given.partition("=")
    if not equals:
        raise UsageError(f"--param: {given!r} is no NAME=VALUE")
    if name in ("n", "r", "w", "sloppy"):
        raise UsageError(
            f"--param: {name} has a flag of its own, --{name.replace('sloppy', 'strict')}"
        )
    try:
        return name, yaml.safe_load(text)
    except yaml.YAMLError as malformed:
        raise UsageError(f"--param: {name}: {' '.join(str(malformed).split())}") from malformed
    except RecursionError:
        raise UsageError(f"--param: {name}: its value is nested too deep") from None


def _certificates(folder: Path) -> Tls:
    try:
        return in_folder(folder)
    except OSError as error:
        raise UsageError(f"--{error}") from error


def _bug(spec: str) -> str:
    """A bug's name, or FILE.py:NAME with the file made absolute."""
    path, colon, name = spec.rpartition(":")
    absolute = f"{Path(path).resolve()}:{name}" if colon else spec
    try:
        resolve(absolute)
    except ValueError as unknown:
        raise UsageError(f"--bug: {unknown}") from unknown
    return absolute


def _names(text: str) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(part.strip() for part in text.split(",")))
    if "" in names:
        raise UsageError(f"--nemesis: a name is empty in {text!r}; write one, or several by comma")
    return tuple(one_of("--nemesis", name, PACKAGES) for name in names)
