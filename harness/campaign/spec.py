"""A campaign as a YAML file, for example

    name: smoke
    time_limit: 6s
    matrix:
      workload: [cart, register]
      nemesis: [cut, "kill,pause"]
      config: [default, {name: strict, strict: true, r: 2, w: 2}]
      seed: [1, 2]
    exclude: [{workload: cart, nemesis: cut}]
    include: [{workload: bulk, nemesis: wipe, seed: 7}]
    budget: {time: 30m, runs: 100, bytes: 2GB, reruns: 20, width: 0.3}

Errors in it name the file, the line, the key and what is allowed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from dataclasses import fields as dataclass_fields
from typing import Any

from dynamesis.cluster.plugins.objects import is_file_name
from dynamesis.harness.campaign.budget import MOST_RUNS, Budget, read_budget
from dynamesis.harness.campaign.matrix import AXES, Block, Cell, cells
from dynamesis.harness.nemesis import PACKAGES
from dynamesis.harness.results.yaml_document import YamlError, YamlPlace, document
from dynamesis.harness.usage.exits import UsageError
from dynamesis.harness.usage.values import duration
from dynamesis.harness.worlds.flag_kinds import Flag
from dynamesis.harness.worlds.options import allowed, why_not
from dynamesis.harness.worlds.test_spec import TestSpec
from dynamesis.workloads.plain.languages import EVERY

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*")
_KEYS = ("name", "time_limit", "matrix", "include", "exclude", "budget")
_MOST_CELLS = MOST_RUNS


@dataclass(frozen=True)
class Campaign:
    """A campaign that makes sense. `configs`: by name the options in which a configuration
    differs from the defaults; `skipped`: cells that cannot be run, and why."""

    name: str
    time_limit: str
    seconds: float
    configs: Mapping[str, Mapping[str, Any]]
    cells: tuple[Cell, ...]
    budget: Budget = field(default_factory=Budget)
    skipped: Mapping[Cell, str] = field(default_factory=dict)

    def spec(self, cell: Cell) -> TestSpec:
        """The test of a cell."""
        axes = {"workload": cell.workload, "nemesis": cell.nemesis, "seed": cell.seed}
        return TestSpec.of({"time_limit": self.time_limit, **axes, **self.configs[cell.config]})


def read(text: str, file: str, overrides: Mapping[str, Any] | None = None) -> Campaign:
    """The campaign in `text`; `file` is its name, for messages; `overrides`: options that all its
    tests have, whatever their configuration. Raises YamlError."""
    root = document(text, file, f"a mapping with the keys {', '.join(_KEYS)}")
    fields = root.mapping(_KEYS)
    for key in ("name", "matrix"):
        if key not in fields:
            raise root.wrong(f"there is no key {key!r}")
    limit, seconds = _limit(fields)
    axes = fields["matrix"].mapping(AXES)
    configs: dict[str, Mapping[str, Any]] = {"default": {}}
    if "config" in axes:
        for item in _listed(axes["config"]):
            configs |= _config(item)
    readers = _readers(configs)
    matrix: dict[str, Sequence[Any]] = {"config": ["default"], "seed": [1]}
    matrix |= _block(axes, readers)
    for axis in AXES[:2]:
        if axis not in matrix:
            raise fields["matrix"].wrong(f"there is no {axis!r}")
    included = _blocks(fields, "include", readers)
    found = cells(matrix, included, _blocks(fields, "exclude", readers))
    if not 0 < len(found) <= _MOST_CELLS:
        raise fields["matrix"].wrong(f"{len(found)} tests; allowed: 1 to {_MOST_CELLS}")
    budget = _budget(fields["budget"]) if "budget" in fields else Budget()
    configs = {name: {**options, **(overrides or {})} for name, options in configs.items()}
    campaign = Campaign(_name(fields["name"]), limit, seconds, configs, found, budget)
    return _possible(campaign, fields["matrix"])


def _limit(fields: Mapping[str, YamlPlace]) -> tuple[str, float]:
    if "time_limit" not in fields:
        return "10s", 10.0
    return str(fields["time_limit"].value()), _duration(fields["time_limit"])


def _duration(place: YamlPlace) -> float:
    try:
        return duration("", str(place.value()))
    except UsageError as error:
        raise place.wrong(str(error).removeprefix(": ")) from error


def _name(place: YamlPlace) -> str:
    value = place.value()
    if not isinstance(value, str) or not NAME.fullmatch(value):
        raise place.wrong(f"{value!r} is not a name; allowed: letters, digits, and . _ + - within")
    return value


def _listed(place: YamlPlace) -> list[YamlPlace]:
    """A list, or a single value in place of a list of one."""
    try:
        items = place.sequence()
    except YamlError:
        return [place]
    if not items:
        raise place.wrong("is empty")
    return items


Readers = Mapping[str, Callable[[YamlPlace], Any]]


def _readers(configs: Mapping[str, Any]) -> Readers:
    return {
        "workload": _workload,
        "nemesis": lambda place: _nemesis(place),
        "config": lambda place: _config_name(place, configs),
        "seed": lambda place: place.integer(0, 2**63 - 1),
    }


def _workload(place: YamlPlace) -> str:
    """A name, or FILE.py:NAME; whether the target of a cell speaks it shows with the cell."""
    value = str(place.value())
    known = {name.rpartition("/")[2] for name in EVERY}
    return value if is_file_name(value) else place.one_of(known)


def _nemesis(place: YamlPlace) -> str:
    value = str(place.value())
    for part in value.split(","):
        if part.strip() not in PACKAGES:
            allowed = ", ".join(sorted(PACKAGES))
            raise place.wrong(f"{part.strip()!r} is not allowed; allowed, also by comma: {allowed}")
    return ",".join(part.strip() for part in value.split(","))


def _config_name(place: YamlPlace, configs: Mapping[str, Any]) -> str:
    value = place.value()
    name = value.get("name") if isinstance(value, dict) else value
    if not isinstance(name, str) or name not in configs:
        raise place.wrong(f"{name!r} is not allowed; allowed: {', '.join(configs)}")
    return name


def _config(place: YamlPlace) -> dict[str, dict[str, Any]]:
    """A configuration by its name; a name alone refers to one of the others."""
    if isinstance(place.value(), str):
        if place.value() == "default":
            return {}
        allowed = "default, or a mapping with name and options"
        raise place.wrong(f"{place.value()!r} is not allowed; allowed: {allowed}")
    flags = {name: flag for name, flag in TestSpec.flags().items() if flag.campaign}
    fields = place.mapping(("name", *flags))
    if "name" not in fields:
        raise place.wrong("there is no 'name'")
    options = {name: _option(fields[name], flag) for name, flag in flags.items() if name in fields}
    return {_name(fields["name"]): options}


def _option(place: YamlPlace, flag: Flag) -> Any:
    """The value of an option, of the type that it has in YAML."""
    value = place.value()
    if flag.kind in ("integer", "number") and isinstance(value, str):
        raise place.wrong(
            f"{value!r} is not {'an integer' if flag.kind == 'integer' else 'a number'}"
        )
    try:
        return allowed(flag, flag.read(value))
    except UsageError as error:
        raise place.wrong(str(error).removeprefix(f"{flag.option}: ")) from error


def _block(fields: Mapping[str, YamlPlace], readers: Readers) -> dict[str, list[Any]]:
    return {axis: [readers[axis](item) for item in _listed(fields[axis])] for axis in fields}


def _blocks(fields: Mapping[str, YamlPlace], key: str, readers: Readers) -> list[Block]:
    if key not in fields:
        return []
    return [_block(item.mapping(AXES), readers) for item in fields[key].sequence()]


def _budget(place: YamlPlace) -> Budget:
    """Each value is read on its own, so that an error names its line."""
    fields = place.mapping([each.name for each in dataclass_fields(Budget)])
    given = {name: value.value() for name, value in fields.items()}
    for name, value in fields.items():
        try:
            read_budget({name: given[name]})
        except UsageError as error:
            raise value.wrong(re.sub(rf"^({name})?: ", "", str(error))) from error
    return read_budget(given)


def _possible(campaign: Campaign, place: YamlPlace) -> Campaign:
    """Without the cells that cannot be run. Each combination is checked once, whatever the
    seed. A configuration that no cell can have is a mistake."""
    reasons: dict[tuple[str, str, str], str | None] = {}
    for cell in campaign.cells:
        combination = (cell.workload, cell.nemesis, cell.config)
        if combination not in reasons:
            reasons[combination] = why_not(campaign.spec(cell))
    why = {c: reasons[c.workload, c.nemesis, c.config] for c in campaign.cells}
    kept = tuple(cell for cell, reason in why.items() if reason is None)
    able = {cell.config for cell in kept}
    skipped = {cell: reason for cell, reason in why.items() if reason is not None}
    for cell, reason in skipped.items():
        if cell.config not in able:
            raise place.wrong(f"{cell.name}: {reason}; no test can have this configuration")
    return replace(campaign, cells=kept, skipped=skipped)
