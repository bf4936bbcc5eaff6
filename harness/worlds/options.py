"""Plans a test or a cluster from its spec; refuses what makes no sense before anything starts."""

from __future__ import annotations

import secrets
from collections.abc import Collection, Iterable, Mapping
from copy import copy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from dynamesis.checkers.history.op import JsonObject
from dynamesis.checkers.models.models import MODELS
from dynamesis.cluster.plugins.objects import absolute
from dynamesis.cluster.storage import ENGINES
from dynamesis.harness.links import LINKS
from dynamesis.harness.links.dialling import choose
from dynamesis.harness.links.faults import FAULTS
from dynamesis.harness.nemesis import (
    CLOCKS,
    PACKAGES,
    Event,
    FaultContext,
    Impossible,
    newcomers,
    plan,
)
from dynamesis.harness.nemesis.libfaketime import find
from dynamesis.harness.nemesis.schedule_file import load
from dynamesis.harness.processes.ports import LAST, UNPRIVILEGED
from dynamesis.harness.results.yaml_document import YamlError
from dynamesis.harness.targets.class_rules import wrong_names
from dynamesis.harness.targets.dynamo.target import DynamoTarget
from dynamesis.harness.targets.registry import TARGETS, load_target
from dynamesis.harness.targets.target import CAPABILITIES, Demands, Target
from dynamesis.harness.usage.exits import UsageError
from dynamesis.harness.usage.values import one_of, program, within
from dynamesis.harness.worlds.environment import ports_for
from dynamesis.harness.worlds.flag_kinds import Flag
from dynamesis.harness.worlds.named_parts import (
    links_of,
    model_of,
    nemeses_of,
    own_nemeses,
    target_options,
    tuning,
    workload_of,
)
from dynamesis.harness.worlds.simulable import must_be_simulable
from dynamesis.harness.worlds.test_spec import MOST_NODES, MOST_SIMULATED, TestSpec
from dynamesis.workloads import WORKLOADS, Workload
from dynamesis.workloads.base import Value
from dynamesis.workloads.plain import PLAIN

#: The worlds that a test can run in (harness.worlds.kinds).
PROCESSES, SIMULATED = "processes", "simulated"
#: The names that options may have, by the `choices` of their flags.
CHOICES: dict[str, Collection[str]] = {
    "targets": TARGETS,
    "workloads": {**WORKLOADS, **PLAIN},
    "models": MODELS,
    "nemeses": PACKAGES,
    "links": LINKS,
    "clocks": CLOCKS,
    "storage": ENGINES,
    "worlds": (PROCESSES, SIMULATED),
}

#: What a target can do that can do more: no lack where it cannot.
_INCLUDED = {"status": "quiet", "cuts": "isolations"}


@dataclass(frozen=True)
class TestOptions:
    """A test that makes sense, with everything drawn that was left to the seed."""

    #: as this test needs it
    target: Target
    #: --target-option, every one of the target's
    target_options: Mapping[str, str]
    nodes: tuple[str, ...]
    links: str
    port_base: int | None
    workload: Workload
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
    #: what judges instead of the workload's own model
    model: str | None = None
    #: what it runs in
    world: str = PROCESSES

    @property
    def name(self) -> str:
        """The folder of this kind of test, such as cart-cut+kill or redis-set-kill."""
        target = "" if isinstance(self.target, DynamoTarget) else f"{self.target.name}-"
        nemesis = "+".join(name.rpartition(":")[2] for name in self.nemesis)
        return f"{target}{self.workload.name}-{nemesis}"

    @property
    def given_keys(self) -> tuple[str, ...]:
        """The keys that the workload is given; it may make more of them."""
        return tuple(f"k{i}" for i in range(self.keys))

    @property
    def starts(self) -> frozenset[str]:
        """The names of the faults' operations, such as start-disk."""
        return frozenset(event.f for event in self.faults)

    @property
    def lacks(self) -> dict[str, str]:
        """What the target cannot do, by capability, and what it would be. A second version is
        given and not had: a test without one leaves nothing out."""
        return {name: about for name, about in lacks(self.target).items() if name != "versions"}


def lacks(target: Target) -> dict[str, str]:
    """What a target cannot do, by capability, and what it would be. A target with a status
    needs no other way to show that it is at rest, and one whose links can be cut one by one can
    have all links of a node cut."""
    able = target.able | {less for more, less in _INCLUDED.items() if more in target.able}
    why = target.left_out
    return {name: why.get(name, about) for name, about in CAPABILITIES.items() if name not in able}


def resolved(spec: TestSpec) -> tuple[TestSpec, Target]:
    """The spec with what its target decides where the user did not, and that target. Raises
    UsageError."""
    try:
        target = load_target(spec.target)
    except ValueError as unknown:
        raise UsageError(f"--target: {unknown}") from unknown
    if spec.bin is not None and not target.takes_bin:
        raise UsageError(f"--bin: target {target.name} takes none; leave it out")
    try:
        target = target.with_options(target_options(target, spec.target_option))
    except ValueError as wrong:
        raise UsageError(f"--target-option: {wrong}") from wrong
    if spec.target_version is not None and not target.takes_version:
        raise UsageError(f"--target-version: target {target.name} takes none; leave it out")
    workload = spec.workload
    if workload is None:
        if not target.workloads:
            raise UsageError(f"--target: {target.name} names no workloads; give --workload")
        workload = target.workloads[0].rpartition("/")[2]
    nodes = target.nodes if spec.nodes is None else spec.nodes
    for name, flag in spec.flags().items():
        if flag.target not in (None, spec.target) and getattr(spec, name) != flag.default:
            raise UsageError(
                f"{flag.option}: only target {flag.target} has it, not {target.name}; leave it out"
            )
    full = replace(
        spec,
        target=absolute(spec.target),
        workload=absolute(workload),
        nodes=nodes,
        bin=None if spec.bin is None else program(spec.bin),
        target_version=None if spec.target_version is None else _whole(spec.target_version),
    )
    values = {name: getattr(full, name) for name in full.flags()}
    try:
        configured = _clocked(_shimmed(target.configured(values)))
        if full.target_version is not None:
            configured = configured.with_other(full.target_version)
        return full, configured
    except ValueError as wrong:
        raise UsageError(str(wrong)) from wrong


def _whole(version: str) -> str:
    """A version that is a file or a folder by its whole path; any other as it is."""
    path = Path(version).expanduser()
    return str(path.absolute()) if path.exists() or "/" in version else version


def nodes_dial(target: Target) -> JsonObject:
    """How its nodes come to dial the proxies, whether pairs can be cut, and why not in each of
    the ways that would be tried before (harness.links.dialling)."""
    if target.links == "pairs":
        return {"name": "addresses", "pairs": True}
    if not target.takes_shim:
        left_out = {"shim": "its nodes are known to clients by the address that peers dial"}
    elif not target.programs:
        left_out = {"shim": "the target names no programs, of which it could be known beforehand"}
    else:
        choice = choose("nodes", target.programs)
        left_out = {} if choice is None else dict(choice.left_out)
        if choice is not None and choice.name == "namespaces":
            left_out["namespaces"] = "tests of a target do not put its nodes into them"
    name = "shim" if target.shimmed else "destinations"
    return {"name": name, "pairs": target.shimmed, "left_out": left_out}


def _shimmed(target: Target) -> Target:
    """With the shim, where that makes a proxy for each pair of one for each node."""
    if not target.takes_shim:
        return target
    choice = choose(target.links, target.programs) if target.programs else None
    if target.links != "nodes" or choice is None or choice.name != "shim":
        return target
    shimmed = copy(target)
    shimmed.shimmed = True
    return shimmed


def _clocked(target: Target) -> Target:
    """With libfaketime, where that makes wrong the clocks that its nodes show."""
    if isinstance(target, DynamoTarget) or not hasattr(target, "clock"):
        return target
    clocked, found = copy(target), find()
    clocked.faketime = found.path
    if found.path is None:
        clocked.left_out = {**target.left_out, "clocks": found.why_not}
    return clocked


def plan_test(spec: TestSpec) -> TestOptions:
    """The test that is asked for, with every fault of it. Faults come from a schedule file, or
    are drawn for the nemesis (cut, if neither is given). Raises UsageError for the first value
    or combination that makes no sense."""
    for name, flag in spec.flags().items():
        if flag.kind == "name":
            allowed(flag, getattr(spec, name))
    spec, target = resolved(spec)
    assert spec.workload is not None
    assert spec.nodes is not None
    if spec.schedule is not None and spec.nemesis is not None:
        raise UsageError("--schedule: takes the place of --nemesis; give one of them")
    if spec.world == SIMULATED:
        must_be_simulable(spec, target)
    elif spec.nodes > MOST_NODES:
        raise UsageError(
            f"--nodes: {spec.nodes} is out of range; allowed: 1 to {MOST_NODES} on processes, "
            f"and to {MOST_SIMULATED} with --world {SIMULATED}"
        )
    workload = workload_of(spec.workload, target)
    model = None if spec.model is None else model_of(spec.model)
    options = TestOptions(
        target=target,
        target_options=target_options(target, spec.target_option),
        nodes=node_names(target, spec.nodes),
        links=links_of(spec.links, target) if spec.world == PROCESSES else SIMULATED,
        port_base=spec.port_base,
        workload=workload,
        tuning=tuning(workload, spec.option),
        nemesis=nemeses_of(("cut",) if spec.nemesis is None else spec.nemesis),
        time_limit=spec.time_limit,
        rate=spec.rate,
        concurrency=spec.concurrency,
        drivers=spec.drivers,
        keys=spec.keys,
        seed=secrets.randbelow(2**32) if spec.seed is None else spec.seed,
        clocks=spec.clocks,
        faults=(),
        model=model,
        world=spec.world,
    )
    require_ports(target, options.links, spec.nodes, spec.port_base)
    if spec.schedule is not None:
        return _adapted(_replayed(options, spec.schedule))
    try:
        context, own = fault_context(options), own_nemeses(options.nemesis)
        faults = plan(options.nemesis, context, options.seed, options.time_limit, own)
    except Impossible as reason:
        raise UsageError(f"--nemesis: {reason}") from reason
    return _adapted(replace(options, faults=faults))


def node_names(target: Target, count: int) -> tuple[str, ...]:
    """What the target calls so many nodes. Raises UsageError."""
    names: object = target.names(count)
    if wrong := wrong_names(target, names, count):
        raise UsageError(f"--target: target {target.name}: {wrong}")
    return tuple(target.names(count))


def _adapted(options: TestOptions) -> TestOptions:
    """With the target as these faults and this workload need it."""
    more = newcomers(options.faults)
    require_ports(options.target, options.links, len(options.nodes) + more, options.port_base)
    restores = any(event.value.get("disk") == "restored" for event in options.faults)
    demands = Demands(options.starts, restores, options.workload.params)
    return replace(options, target=options.target.adapted(demands))


def allowed(flag: Flag, value: Any) -> Any:
    """The value, if it is one of the flag's choices or it has none. Raises UsageError."""
    if flag.choices is not None and value is not None:
        for name in (value,) if isinstance(value, str) else value:
            if flag.files:  # it is looked for where it is used
                continue
            one_of(flag.option, name, CHOICES[flag.choices])
    return value


def why_not(spec: TestSpec) -> str | None:
    """Why a test cannot be; None if it can."""
    try:
        plan_test(spec)
    except UsageError as error:
        return str(error)
    return None


def topology(spec: TestSpec) -> tuple[TestSpec, DynamoTarget]:
    """The cluster of our own nodes that is asked for. Raises UsageError for the first value or
    combination that makes no sense."""
    full, target = resolved(spec)
    assert isinstance(target, DynamoTarget)
    assert full.nodes is not None
    require_ports(target, one_of("--links", full.links, LINKS), full.nodes, full.port_base)
    return full, DynamoTarget(target.topology)  # not in haste: it stays up


def require_ports(target: Target, links: str, nodes: int, port_base: int | None) -> None:
    """Raises UsageError unless the ports from --port-base on are enough for so many nodes."""
    if port_base is not None:  # never so in a simulated world
        wanted = ports_for(target, links, nodes)
        within("--port-base", port_base, UNPRIVILEGED, LAST - wanted + 1)


def fault_context(options: TestOptions) -> FaultContext:
    """What the nemesis draws its faults from."""
    limits, nodes = options.target.limits, options.nodes
    return FaultContext.draw(
        nodes,
        frozenset(FAULTS) if options.links == SIMULATED else LINKS[options.links].kinds,
        options.seed,
        limits.w,
        limits.volatile,
        options.workload.keys(options.given_keys),
        len(nodes) if limits.n is None else limits.n,
        limits.anti_entropy,
        limits.buffered,
        able=options.target.able,
        target=options.target.name,
        left_out=options.target.left_out,
        reaps=limits.reaps,
    )


def _replayed(options: TestOptions, path: Path) -> TestOptions:
    try:
        faults = load(path.read_text(encoding="utf-8"), str(path), fault_context(options))
    except (OSError, UnicodeDecodeError) as failure:
        raise UsageError(
            f"--schedule: {path} cannot be read ({failure}); name a schedule.yaml"
        ) from failure
    except YamlError as malformed:
        raise UsageError(f"--schedule: {malformed}") from malformed
    return _named(options, faults)


def with_faults(options: TestOptions, faults: Iterable[Event]) -> TestOptions:
    """The same test under other faults. Raises UsageError where they make no sense."""
    return _adapted(_named(options, tuple(faults)))


def _named(options: TestOptions, faults: tuple[Event, ...]) -> TestOptions:
    """With the families of these faults as the nemesis."""
    families = dict.fromkeys((event.action.member or "").partition(".")[0] for event in faults)
    return replace(options, faults=faults, nemesis=tuple(families) or ("none",))
