"""What a test's options name (a workload, a model, links, nemeses, settings), found or refused."""

from __future__ import annotations

from collections.abc import Iterable

from dynamesis.cluster.plugins.objects import absolute
from dynamesis.harness.check.outside_model import outside_model
from dynamesis.harness.links import LINKS
from dynamesis.harness.nemesis import (
    PACKAGES,
)
from dynamesis.harness.nemesis.packages import Package
from dynamesis.harness.targets.target import Target
from dynamesis.harness.usage.exits import UsageError
from dynamesis.harness.usage.values import one_of
from dynamesis.harness.worlds.extensions import outside_nemesis, workload_for
from dynamesis.workloads import Workload
from dynamesis.workloads.base import Value


def workload_of(name: str, target: Target) -> Workload:
    """The workload of this name, as this target runs it. Raises UsageError."""
    try:
        return workload_for(name, target)
    except ValueError as unknown:
        raise UsageError(f"--workload: {unknown}") from unknown


def model_of(name: str) -> str:
    """The name of a model; of one in a file, with its whole path. Raises UsageError."""
    try:
        outside_model(name)
    except ValueError as unknown:
        raise UsageError(f"--model: {unknown}") from unknown
    return absolute(name)


def links_of(name: str, target: Target) -> str:
    """The links by which the nodes of a target can be joined. Raises UsageError."""
    one_of("--links", name, LINKS)
    only = target.links_kind
    if only is not None and name in ("auto", only):
        return only
    if only is not None or name == "messages":
        right = only or "any but messages, which are for programs on pipes"
        raise UsageError(f"--links: {name} cannot join the nodes of {target.name}; use {right}")
    return name


def target_options(target: Target, given: Iterable[str]) -> dict[str, str]:
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
                f"--target-option: {name}: there is no {value!r}; "
                f"allowed: {', '.join(allowed_values)}"
            )
        chosen[name] = value
    return chosen


def tuning(workload: Workload, given: Iterable[str]) -> dict[str, Value]:
    """Every option of a workload, as given by NAME=VALUE or by default."""
    chosen: dict[str, Value] = {}
    for each in given:
        name, equals, value = each.partition("=")
        if not equals:
            raise UsageError(f"--option: {each!r} is not NAME=VALUE")
        if name in chosen:
            raise UsageError(f"--option: {name} is given twice; give it once")
        chosen[name] = value
    try:
        return workload.configure(chosen)
    except ValueError as senseless:
        raise UsageError(f"--option: {senseless}") from senseless


def nemeses_of(names: tuple[str, ...]) -> tuple[str, ...]:
    """The names of nemeses; of those in files, with their whole paths. Raises UsageError."""
    if "" in names or not names:
        text = ",".join(names)
        raise UsageError(f"--nemesis: a name is empty in {text!r}; write one, or several by comma")
    own = own_nemeses(names)
    return tuple(
        absolute(name) if name in own else one_of("--nemesis", name, PACKAGES) for name in names
    )


def own_nemeses(names: Iterable[str]) -> dict[str, Package]:
    """The nemeses of a user's own: FILE.py:NAME, or an entry point `dynamesis.nemeses`."""
    found: dict[str, Package] = {}
    for name in names:
        if name in PACKAGES:
            continue
        try:
            package = outside_nemesis(name)
        except ValueError as wrong:
            raise UsageError(f"--nemesis: {wrong}") from wrong
        if package is not None:
            found[name] = found[absolute(name)] = package
    return found
