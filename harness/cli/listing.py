"""`dynamesis list`: every name that a flag of `test` or `check` takes."""

from __future__ import annotations

from collections.abc import Iterable

from dynamesis.harness.usage.flags import Json

#: The heading as it is printed.
_ABOUT = {
    "bugs": "bugs (with the workload and nemesis that should show them)",
    "workloads": "workloads with contexts (get, put, delete), as target dynamo speaks them",
    "workloads without contexts": "workloads without contexts, as other targets speak them",
}


def run(json: Json = False) -> None:
    """Show every workload, nemesis, model, bug and campaign.

    Also checkers, storage engines, links and clocks: all names that a flag takes.
    """
    from dynamesis.harness.usage.catalogue import catalogue
    from dynamesis.harness.usage.output import print_json

    if json:
        rows = {
            title: [{"name": name.strip(), "about": about, "of": of} for name, about, of in owned]
            for title, owned in (
                (title, _owned(_found(rows) if title == "targets" else rows))
                for title, rows in catalogue().items()
            )
        }
        print_json(rows)
        return
    for title, listed in catalogue().items():
        _show(_ABOUT.get(title, title), listed if title != "targets" else list(_found(listed)))


def _found(rows: Iterable[tuple[str, str]]) -> Iterable[tuple[str, str]]:
    """The targets, each with whether the programs that it needs are on this machine; and those
    that other packages bring."""
    from importlib.metadata import entry_points
    from shutil import which

    for name, about in rows:
        if name == "  needs":
            missing = [program for program in about.split(", ") if which(program) is None]
            about += f" (not found: {', '.join(missing)})" if missing else " (found)"
        yield name, about
    for point in entry_points(group="dynamesis.targets"):
        yield point.name, f"of another package: {point.value}"


def _owned(rows: Iterable[tuple[str, str]]) -> Iterable[tuple[str, str, str | None]]:
    """Each row with the workload or family that it belongs to, if any."""
    owner = ""
    for name, about in rows:
        if name.startswith(" "):
            yield name, about, owner
        else:
            owner = name
            yield name, about, None


def _show(title: str, rows: Iterable[tuple[str, str]]) -> None:
    import shutil
    import textwrap

    width = max(60, shutil.get_terminal_size().columns)
    print(title)
    for name, about in rows:
        lines = textwrap.wrap(about, width - 28) or [""]
        if len(name) > 25:  # in a line of its own: its words stay in their column
            print(f"  {name}")
            name = ""
        print(f"  {name:25} {lines[0]}".rstrip())
        for line in lines[1:]:
            print(f"{'':28}{line}")
