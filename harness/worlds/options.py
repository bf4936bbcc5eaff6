"""Plans a test or a cluster from its spec; refuses what makes no sense before anything starts."""

from __future__ import annotations

import secrets
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from dynamesis.checkers.models.models import MODELS
from dynamesis.cluster.plugins.objects import absolute, is_file_name
from dynamesis.cluster.storage import ENGINES
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
from dynamesis.harness.targets.dynamo.target import DynamoTarget
from dynamesis.harness.targets.registry import TARGETS, load_target
from dynamesis.harness.targets.target import CAPABILITIES, Demands, Target
from dynamesis.harness.usage.exits import UsageError
from dynamesis.harness.usage.values import one_of, program, within
from dynamesis.harness.worlds.environment import ports_for
from dynamesis.harness.worlds.extensions import load_workload
from dynamesis.harness.worlds.test_spec import Flag, TestSpec
from dynamesis.workloads import WORKLOADS, Workload
from dynamesis.workloads.base import Value
from dynamesis.workloads.plain import PLAIN
from dynamesis.workloads.plain.languages import spoken as spoken_by

#: The names that options may have, by the `choices` of their flags.
CHOICES: dict[str, Collection[str]] = {
    "targets": TARGETS,
    "workloads": {**WORKLOADS, **PLAIN},
    "models": MODELS,
    "nemeses": PACKAGES,
    "links": LINKS,
    "clocks": CLOCKS,
    "storage": ENGINES,
}


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

    @property
    def name(self) -> str:
        """The folder of this kind of test, such as cart-cut+kill or redis-set-kill."""
        target = "" if isinstance(self.target, DynamoTarget) else f"{self.target.name}-"
        return f"{target}{self.workload.name}-{'+'.join(self.nemesis)}"

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
        """What the target cannot do, by capability, and what it would be."""
        return lacks(self.target)


def lacks(target: Target) -> dict[str, str]:
    """What a target cannot do, by capability, and what it would be. A target with a status
    needs no other way to tell that it is at rest."""
    able = target.able | ({"quiet"} if "status" in target.able else set())
    return {name: about for name, about in CAPABILITIES.items() if name not in able}


def resolved(spec: TestSpec) -> tuple[TestSpec, Target]:
    """The spec with what its target decides where the user did not, and that target. Raises
    UsageError."""
    try:
        target = load_target(spec.target)
    except ValueError as unknown:
        raise UsageError(f"--target: {unknown}") from unknown
    workload = spec.workload
    if workload is None:
        if not target.workloads:
            raise UsageError(f"--target: {target.name} names no workloads; give --workload")
        workload = next(iter(spoken_by(target.workloads)), target.workloads[0])
    nodes = target.nodes if spec.nodes is None else spec.nodes
    for name, flag in spec.flags().items():
        if flag.target not in (None, spec.target) and getattr(spec, name) != flag.default:
            raise UsageError(f"{flag.option}: only target {flag.target} has it, not {target.name}")
    full = replace(
        spec,
        target=absolute(spec.target),
        workload=absolute(workload),
        nodes=nodes,
        bin=None if spec.bin is None else program(spec.bin),
    )
    values = {name: getattr(full, name) for name in full.flags()}
    return full, target.configured(values)


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
    workload = spoken(spec.workload, target)
    options = TestOptions(
        target=target,
        target_options=_target_options(target, spec.target_option),
        nodes=target.names(spec.nodes),
        links=_links(spec.links, target),
        port_base=spec.port_base,
        workload=workload,
        tuning=_tuning(workload, spec.option),
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
    require_ports(target, options.links, spec.nodes, spec.port_base)
    if spec.schedule is not None:
        return _adapted(_replayed(options, spec.schedule))
    try:
        faults = plan(options.nemesis, _fault_context(options), options.seed, options.time_limit)
    except Impossible as reason:
        raise UsageError(f"--nemesis: {reason}") from reason
    return _adapted(replace(options, faults=faults))


def spoken(name: str, target: Target) -> Workload:
    """The workload of this name, if the target speaks it: what the name means depends on what its
    clients speak. One of a user's own is spoken where the target names it, or where its
    operations are those of workloads that the target names. Raises UsageError."""
    listed = spoken_by(target.workloads)
    if name in listed:
        return listed[name]
    try:
        workload = load_workload(name)
    except ValueError as unknown:
        raise UsageError(f"--workload: {unknown}") from unknown
    performed = {f for each in listed.values() for f in each.operations}
    own = workload not in (*WORKLOADS.values(), *PLAIN.values())
    if own and (workload.name in target.workloads or performed.issuperset(workload.operations)):
        return workload
    speaks = ", ".join(listed) or "none"
    raise UsageError(
        f"--workload: target {target.name} does not speak {workload.name}; it speaks: {speaks}"
    )


def _links(name: str, target: Target) -> str:
    """The links by which the nodes of a target can be joined. Raises UsageError."""
    one_of("--links", name, LINKS)
    only = target.links_kind
    if only is not None and name in ("auto", only):
        return only
    if only is not None or name == "messages":
        right = only or "any but messages, which are for programs on pipes"
        raise UsageError(f"--links: {name} cannot join the nodes of {target.name}; use {right}")
    return name


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
            if flag.files and is_file_name(name):
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
    return full, target


def require_ports(target: Target, links: str, nodes: int, port_base: int | None) -> None:
    """Raises UsageError unless the ports from --port-base on are enough for so many nodes."""
    if port_base is not None:
        wanted = ports_for(target, links, nodes)
        within("--port-base", port_base, UNPRIVILEGED, LAST - wanted + 1)


def _fault_context(options: TestOptions) -> FaultContext:
    """What the nemesis draws its faults from."""
    limits, nodes = options.target.limits, options.nodes
    return FaultContext.draw(
        nodes,
        LINKS[options.links].kinds,
        options.seed,
        limits.w,
        limits.volatile,
        options.workload.keys(options.given_keys),
        len(nodes) if limits.n is None else limits.n,
        limits.anti_entropy,
        limits.buffered,
        able=options.target.able,
        target=options.target.name,
    )


def _target_options(target: Target, given: Iterable[str]) -> dict[str, str]:
    """Every option of the target, as given by NAME=VALUE or by default."""
    chosen = {name: option.default for name, option in target.options.items()}
    for each in given:
        name, equals, value = each.partition("=")
        if not equals:
            raise UsageError(f"--target-option: {each!r} is not NAME=VALUE")
        if name not in target.options:
            known = ", ".join(target.options) or "none"
            raise UsageError(
                f"--target-option: target {target.name} has no option {name!r}: it has {known}"
            )
        allowed_values = target.options[name].allowed
        if allowed_values and value not in allowed_values:
            raise UsageError(
                f"--target-option: {name}: {value!r} is none of {', '.join(allowed_values)}"
            )
        chosen[name] = value
    return chosen


def _replayed(options: TestOptions, path: Path) -> TestOptions:
    try:
        faults = load(path.read_text(encoding="utf-8"), str(path), _fault_context(options))
    except (OSError, UnicodeDecodeError) as failure:
        raise UsageError(f"--schedule: {path} cannot be read ({failure})") from failure
    except YamlError as malformed:
        raise UsageError(f"--schedule: {malformed}") from malformed
    families = dict.fromkeys((event.action.member or "").partition(".")[0] for event in faults)
    return replace(options, faults=faults, nemesis=tuple(families) or ("none",))


def _tuning(workload: Workload, given: Iterable[str]) -> dict[str, Value]:
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
        return workload.configure(chosen)
    except ValueError as senseless:
        raise UsageError(f"--option: {senseless}") from senseless


def _names(names: tuple[str, ...]) -> tuple[str, ...]:
    if "" in names or not names:
        text = ",".join(names)
        raise UsageError(f"--nemesis: a name is empty in {text!r}; write one, or several by comma")
    return tuple(one_of("--nemesis", name, PACKAGES) for name in names)
