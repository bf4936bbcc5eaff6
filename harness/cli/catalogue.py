"""Makes harness/usage/catalogue.json: `python -m dynamesis.harness.cli.catalogue`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

from dynamesis.harness.usage.catalogue import FILE
from dynamesis.workloads import Workload

Rows = list[tuple[str, str]]


def collect() -> dict[str, Rows]:
    """The catalogue, from the tables themselves."""
    from dynamesis.checkers.models.dynamo import CHECKERS
    from dynamesis.checkers.models.log_checkers import LOG_CHECKERS
    from dynamesis.checkers.models.models import MODELS
    from dynamesis.cluster.storage import ENGINES
    from dynamesis.cluster.zoo import BUGS
    from dynamesis.harness.links import LINKS
    from dynamesis.harness.usage.shipped import about, shipped_campaigns
    from dynamesis.harness.worlds.kinds import WORLDS
    from dynamesis.workloads import WORKLOADS
    from dynamesis.workloads.plain import PLAIN

    return {
        "targets": list(_targets()),
        "workloads": list(_workloads(WORKLOADS)),
        "workloads without contexts": list(_workloads(PLAIN)),
        "nemeses": list(_nemeses()),
        "checkers": [(name, _first_line(check)) for name, check in CHECKERS.items()],
        "checkers that need the nodes' logs": [
            (name, _first_line(check)) for name, check in LOG_CHECKERS.items()
        ],
        "models": [(name, model.about) for name, model in MODELS.items()],
        "bugs": [
            (name, f"{bug.mechanism} ({bug.workload}, {bug.nemesis})") for name, bug in BUGS.items()
        ],
        "storage": [(name, _first_line(engine)) for name, engine in ENGINES.items()],
        "links": [(name, kind.description) for name, kind in LINKS.items()],
        "clocks": list(_clocks()),
        "worlds": [(name, kind.description) for name, kind in WORLDS.items()],
        "campaigns": [(name, about(file)) for name, file in shipped_campaigns().items()],
    }


def _workloads(table: Mapping[str, Workload]) -> Iterator[tuple[str, str]]:
    """Workloads, each followed by its options."""
    for name, workload in table.items():
        yield name, workload.description
        for option, its in workload.options.items():
            yield f"  {option}={its.default}", f"{its.meaning} ({its.bounds})"


def _targets() -> Iterator[tuple[str, str]]:
    """Targets, each followed by what it speaks, what can be done to it, and what it needs."""
    from dynamesis.harness.targets.registry import TARGETS, load_target

    for name in TARGETS:
        target = load_target(name)
        yield name, target.description
        yield "  speaks", ", ".join(target.workloads)
        yield "  can", ", ".join(sorted(target.able)) or "what its file has commands for"
        if target.programs:
            yield "  needs", ", ".join(target.programs)
        for option, its in target.options.items():
            yield f"  {option}={its.default}", its.meaning


def _nemeses() -> Iterator[tuple[str, str]]:
    """Families, each followed by its members."""
    from dynamesis.harness.nemesis import PACKAGES
    from dynamesis.harness.nemesis.catalogue import NAMED

    for name, package in PACKAGES.items():
        if "." not in name:
            yield name, package.description
            named = [member for member in NAMED if member.family == name]
            for member in (*package.members, *named) if name != "storm" else ():
                yield f"  {member.title}", member.description


def _clocks() -> Iterator[tuple[str, str]]:
    from dynamesis.harness.nemesis import CLOCKS

    about = ("inside the node", "outside it, through libfaketime (extra `faketime`)")
    yield from zip(CLOCKS, about, strict=True)


def _first_line(of: object) -> str:
    return (of.__doc__ or "").strip().partition("\n")[0]


if __name__ == "__main__":
    FILE.write_text(json.dumps(collect(), indent=1) + "\n", encoding="utf-8")
