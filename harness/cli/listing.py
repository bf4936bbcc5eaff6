"""`dynamesis list`: every name that a flag of `test` takes."""

from __future__ import annotations


def run() -> None:
    """Show the workloads, nemeses, links, storage engines, bugs and checkers there are."""
    from checkers import CHECKERS
    from cluster.storage import ENGINES
    from cluster.zoo import BUGS
    from harness.links import LINKS
    from harness.nemesis import PACKAGES
    from workloads import WORKLOADS

    for title, table in (
        ("workloads", WORKLOADS),
        ("nemeses", PACKAGES),
        ("links", LINKS),
        ("storage", ENGINES),
        ("bugs", BUGS),
        ("checkers", CHECKERS),
    ):
        print(title)
        for name, entry in table.items():
            description = getattr(entry, "description", "") or getattr(entry, "mechanism", "")
            print(f"  {name:24}{description}".rstrip())
