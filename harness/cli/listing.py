"""`dynamesis list`: every name that a flag of `test` or `check` takes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator


def run() -> None:
    """Show the workloads, nemeses, checkers, models, bugs, storage engines and links."""
    from dynamesis.checkers.models.dynamo import CHECKERS
    from dynamesis.checkers.models.log_checkers import LOG_CHECKERS
    from dynamesis.checkers.models.models import MODELS
    from dynamesis.cluster.storage import ENGINES
    from dynamesis.cluster.zoo import BUGS
    from dynamesis.harness.links import LINKS

    bugs = (
        (name, f"{bug.mechanism} ({bug.workload}, {bug.nemesis})") for name, bug in BUGS.items()
    )
    for title, rows in (
        ("workloads", _workloads()),
        ("nemeses", _nemeses()),
        ("checkers", ((name, _first_line(check)) for name, check in CHECKERS.items())),
        (
            "checkers that need the nodes' logs",
            ((n, _first_line(c)) for n, c in LOG_CHECKERS.items()),
        ),
        ("models", ((name, model.about) for name, model in MODELS.items())),
        ("bugs (with the workload and nemesis that should show them)", bugs),
        ("storage", ((name, _first_line(engine)) for name, engine in ENGINES.items())),
        ("links", ((name, kind.description) for name, kind in LINKS.items())),
    ):
        _show(title, rows)


def _show(title: str, rows: Iterable[tuple[str, str]]) -> None:
    import shutil
    import textwrap

    width = max(60, shutil.get_terminal_size().columns)
    print(title)
    for name, about in rows:
        lines = textwrap.wrap(about, width - 28) or [""]
        print(f"  {name:25} {lines[0]}".rstrip())
        for line in lines[1:]:
            print(f"{'':28}{line}")


def _workloads() -> Iterator[tuple[str, str]]:
    """Workloads, each with its options."""
    from dynamesis.workloads import WORKLOADS

    for name, workload in WORKLOADS.items():
        yield name, workload.description
        for option, its in workload.options.items():
            yield f"  {option}={its.default}", f"{its.meaning} ({its.bounds})"


def _nemeses() -> Iterator[tuple[str, str]]:
    """Families, each followed by its members."""
    from dynamesis.harness.nemesis import PACKAGES

    for name, package in PACKAGES.items():
        if "." not in name:
            yield name, package.description
            for member in package.members if name != "storm" else ():
                yield f"  {member.title}", member.description


def _first_line(of: object) -> str:
    return (of.__doc__ or "").strip().partition("\n")[0]
