"""What a Dynamo cluster is made of: read from the options of a test, refused where it makes no
sense."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, fields
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml
from dynamesis.checkers.history.op import JsonObject
from dynamesis.cluster.config.config import ConfigError, check_params
from dynamesis.cluster.config.tls import Tls, in_folder
from dynamesis.cluster.core.protocol.params import Params
from dynamesis.cluster.core.runtime.admission import MOST
from dynamesis.cluster.plugins.objects import absolute
from dynamesis.cluster.storage import ENGINES
from dynamesis.harness.targets.reports import SIZES
from dynamesis.harness.usage.exits import UsageError
from dynamesis.harness.usage.values import one_of

#: Ring partitions.
PARTITIONS = 64
#: what --param takes: the rest has a flag of its own, or is the cluster's own business
_PARAMS = {field.name for field in fields(Params)} - {
    *("node", "members", "seeds", "cluster", "secret", "n", "r", "w", "sloppy")
}


@dataclass(frozen=True)
class Topology:
    """A cluster that makes sense."""

    nodes: tuple[str, ...]
    n: int
    r: int
    w: int
    sloppy: bool
    storage: str
    bugs: tuple[str, ...]
    #: certificates, where everything is to be encrypted
    tls: Tls | None
    #: other parameters of nodes (cluster.core.protocol.params)
    params: Mapping[str, Any]

    @property
    def node_params(self) -> Mapping[str, Any]:
        """The parameters of every node (cluster.core.protocol.params)."""
        quorum = {"n": self.n, "r": self.r, "w": self.w, "sloppy": self.sloppy}
        return {"partitions": PARTITIONS, **quorum, **self.params}

    @property
    def bounds(self) -> JsonObject:
        """How much a node may have in progress and in hints, and how much background work
        concurrently."""
        limits = {field.name: field.default for field in fields(Params)} | dict(self.node_params)
        most = {size: limits[f"max_{size}"] for size in SIZES if f"max_{size}" in limits}
        return most | {"background_slices": MOST}


def topology_of(values: Mapping[str, Any]) -> Topology:
    """The cluster that these options of a test ask for (fields of TestSpec by name). Raises
    UsageError for the first value or combination that makes no sense."""
    n, nodes = values["n"], values["nodes"]
    if n > nodes:
        raise UsageError(
            f"--n: {n} copies need at least {n} nodes, and --nodes is {nodes}; "
            "lower --n, or raise --nodes"
        )
    for flag in ("r", "w"):
        if values[flag] > n:
            raise UsageError(
                f"--{flag}: {values[flag]} answers cannot come from {n} copies (--n {n}); "
                f"allowed: 1 to {n}"
            )
    tls = values["tls"]
    built = Topology(
        nodes=tuple(f"n{i}" for i in range(1, nodes + 1)),
        n=n,
        r=values["r"],
        w=values["w"],
        sloppy=not values["strict"],
        storage=one_of("--storage", values["storage"], ENGINES),
        bugs=_bugs(values["bug"]),
        params=dict(map(_param, values["param"])),
        tls=None if tls is None else _certificates(tls),
    )
    require_params("--param", built.nodes, built.node_params)
    return built


def require_params(flags: str, nodes: Sequence[str], params: Mapping[str, Any]) -> None:
    """Raises UsageError, with the flags to change, where no node would start with these."""
    try:
        check_params(nodes, params)
    except ConfigError as error:
        raise UsageError(f"{flags}: {str(error).removeprefix('params').lstrip('.: ')}") from error


#: A swarm reads the same few values again and again, and YAML takes 50 us a number.
_loaded = lru_cache(maxsize=1024)(yaml.safe_load)


def _param(given: str) -> tuple[str, Any]:
    """NAME=VALUE, the value as YAML has it."""
    name, equals, text = given.partition("=")
    if not equals:
        raise UsageError(f"--param: {given!r} is not NAME=VALUE")
    if name in ("n", "r", "w", "sloppy"):
        raise UsageError(
            f"--param: {name} has a flag of its own; use --{name.replace('sloppy', 'strict')}"
        )
    one_of("--param", name, _PARAMS)
    try:
        return name, deepcopy(_loaded(text))
    except yaml.YAMLError as malformed:
        raise UsageError(f"--param: {name}: {' '.join(str(malformed).split())}") from malformed
    except RecursionError:
        raise UsageError(
            f"--param: {name}: its value is nested too deep; write a plain value"
        ) from None


def _certificates(folder: Path) -> Tls:
    try:
        return in_folder(folder)
    except OSError as error:
        raise UsageError(f"--{error}") from error


def _bugs(specs: Iterable[str]) -> tuple[str, ...]:
    """The bugs' names, or FILE.py:NAME with the file made absolute, that can be in one node."""
    named = tuple(map(absolute, specs))
    if not named:
        return ()
    from dynamesis.cluster.zoo import plant  # loads a node with each bug

    try:
        plant(named)
    except ValueError as unknown:
        raise UsageError(f"--bug: {unknown}") from unknown
    return named
