"""Plans a test or a cluster from its spec; refuses what makes no sense before anything starts."""

from __future__ import annotations

import secrets
from collections.abc import Collection, Iterable, Mapping
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
from dynamesis.harness.usage.values import one_of, within
from dynamesis.harness.worlds.environment import EnvironmentSpec, ports_for
from dynamesis.harness.worlds.test_spec import Flag, TestSpec
from dynamesis.workloads import WORKLOADS
from dynamesis.workloads.base import Value

#: Ring partitions.
PARTITIONS = 64
#: The names that options may have, by the `choices` of their flags.
CHOICES: dict[str, Collection[str]] = {
    "workloads": WORKLOADS,
    "nemeses": PACKAGES,
    "links": LINKS,
    "clocks": CLOCKS,
    "storage": ENGINES,
}


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
    #: other parameters of nodes (cluster.core.protocol.params)
    params: Mapping[str, Any]

    def plan(self, root: Path, logs: Path) -> EnvironmentSpec:
        """How to build it; see EnvironmentSpec for the folders."""
        return EnvironmentSpec(
            nodes=self.nodes,
            links=self.links,
            storage=self.storage,
            root=root.resolve(),
            logs=logs.resolve(),
            params=self.node_params,
            bugs=self.bugs,
            port_base=self.port_base,
            tls=self.tls,
        )

    @property
    def node_params(self) -> dict[str, Any]:
        """The parameters of every node (cluster.core.protocol.params)."""
        quorum = {"n": self.n, "r": self.r, "w": self.w, "sloppy": self.sloppy}
        return {"partitions": PARTITIONS, **quorum, **self.params}


@dataclass(frozen=True)
class TestOptions:
    """A test that makes sense, with everything drawn that was left to the seed."""

    topology: Topology
    workload: str
    #: every option of the workload
    tuning: Mapping[str, Value]
    nemesis: tuple[str, ...]
    #: s
    time_limit: float
    #: operations a second, over all clients
    rate: float
    concurrency: int
    #: processes that carry out the load; 0: the harness's own
    drivers: int
    keys: int
    seed: int
    #: how wall clocks are made wrong
    clocks: str
    #: all operations of the nemesis
    faults: tuple[Event, ...]

    @property
    def name(self) -> str:
        """The folder of this kind of test, such as cart-cut+kill."""
        return f"{self.workload}-{'+'.join(self.nemesis)}"

    @property
    def given_keys(self) -> tuple[str, ...]:
        """The keys that the workload is given; it may make more of them."""
        return tuple(f"k{i}" for i in range(self.keys))


def plan_test(spec: TestSpec) -> TestOptions:
    """The test that is asked for, with every fault of it. Faults come from a schedule file, or
    are drawn for the nemesis (cut, if neither is given). Raises UsageError for the first value
    or combination that makes no sense."""
    for name, flag in spec.flags().items():
        if flag.kind == "name":
            allowed(flag, getattr(spec, name))
    built = topology(spec)
    if spec.schedule is not None and spec.nemesis is not None:
        raise UsageError("--schedule: takes the place of --nemesis; give one of them")
    options = TestOptions(
        topology=built,
        workload=spec.workload,
        tuning=_tuning(spec.workload, spec.option),
        nemesis=_names(("cut",) if spec.nemesis is None else spec.nemesis),
        time_limit=spec.time_limit,
        rate=spec.rate,
        concurrency=spec.concurrency,
        drivers=spec.drivers,
        keys=spec.keys,
        seed=secrets.randbelow(2**32) if spec.seed is None else spec.seed,
        clocks=spec.clocks,
        faults=(),
    )
    if spec.schedule is not None:
        return _replayed(options, spec.schedule)
    try:
        faults = plan(options.nemesis, _fault_context(options), options.seed, options.time_limit)
    except Impossible as reason:
        raise UsageError(f"--nemesis: {reason}") from reason
    require_ports(built, newcomers(faults))
    return replace(options, faults=faults)


def allowed(flag: Flag, value: Any) -> Any:
    """The value, if it is one of the flag's choices or it has none. Raises UsageError."""
    if flag.choices is not None and value is not None:
        for name in (value,) if isinstance(value, str) else value:
            one_of(flag.option, name, CHOICES[flag.choices])
    return value


def why_not(spec: TestSpec) -> str | None:
    """Why a test cannot be; None if it can."""
    try:
        plan_test(spec)
    except UsageError as error:
        return str(error)
    return None


def topology(spec: TestSpec) -> Topology:
    """The cluster that is asked for. Raises UsageError for the first value or combination that
    makes no sense."""
    n, nodes = spec.n, spec.nodes
    if n > nodes:
        raise UsageError(f"--n: {n} copies need at least {n} nodes, and --nodes is {nodes}")
    for flag, value in (("--r", spec.r), ("--w", spec.w)):
        if value > n:
            raise UsageError(f"{flag}: {value} answers cannot come from {n} copies (--n {n})")
    built = Topology(
        nodes=tuple(f"n{i}" for i in range(1, nodes + 1)),
        n=n,
        r=spec.r,
        w=spec.w,
        sloppy=not spec.strict,
        links=one_of("--links", spec.links, LINKS),
        storage=one_of("--storage", spec.storage, ENGINES),
        bugs=tuple(map(_bug, spec.bug)),
        port_base=spec.port_base,
        params=dict(map(_param, spec.param)),
        tls=None if spec.tls is None else _certificates(spec.tls),
    )
    try:
        check_params(built.nodes, built.node_params)
    except ConfigError as error:
        raise UsageError(f"--param: {str(error).removeprefix('params').lstrip('.: ')}") from error
    require_ports(built)
    return built


def require_ports(topology: Topology, more: int = 0) -> None:
    """Raises UsageError unless the ports from --port-base on are enough, with `more` nodes."""
    if topology.port_base is not None:
        wanted = ports_for(topology.links, len(topology.nodes) + more)
        within("--port-base", topology.port_base, UNPRIVILEGED, LAST - wanted + 1)


def _fault_context(options: TestOptions) -> FaultContext:
    """What the nemesis draws its faults from."""
    top = options.topology
    kinds, volatile = LINKS[top.links].kinds, top.storage == "memory"
    keys = WORKLOADS[options.workload].keys(options.given_keys)
    params = top.node_params
    compares = params.get("anti_entropy_interval") != 0
    buffered = params.get("durability") == "buffered" and params.get("durable_replicas", 1) < 2
    return FaultContext.draw(
        top.nodes, kinds, options.seed, top.w, volatile, keys, top.n, compares, buffered
    )


def _replayed(options: TestOptions, path: Path) -> TestOptions:
    try:
        faults = load(path.read_text(encoding="utf-8"), str(path), _fault_context(options))
    except (OSError, UnicodeDecodeError) as failure:
        raise UsageError(f"--schedule: {path} cannot be read ({failure})") from failure
    except YamlError as malformed:
        raise UsageError(f"--schedule: {malformed}") from malformed
    require_ports(options.topology, newcomers(faults))
    families = dict.fromkeys((event.action.member or "").partition(".")[0] for event in faults)
    return replace(options, faults=faults, nemesis=tuple(families) or ("none",))


def _tuning(workload: str, given: Iterable[str]) -> dict[str, Value]:
    """Every option of a workload, as given by NAME=VALUE or by default."""
    chosen: dict[str, Value] = {}
    for each in given:
        name, equals, value = each.partition("=")
        if not equals:
            raise UsageError(f"--option: {each!r} is not NAME=VALUE")
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
        raise UsageError(f"--param: {given!r} is not NAME=VALUE")
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


def _names(names: tuple[str, ...]) -> tuple[str, ...]:
    if "" in names or not names:
        text = ",".join(names)
        raise UsageError(f"--nemesis: a name is empty in {text!r}; write one, or several by comma")
    return tuple(one_of("--nemesis", name, PACKAGES) for name in names)
