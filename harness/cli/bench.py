"""`dynamesis bench`: what the parts cost on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from typer import Option

if TYPE_CHECKING:
    from dynamesis.harness.bench.run import Row


def checkers(
    sizes: Annotated[
        str, Option(help="Operations in a history, several by comma.")
    ] = "10000,100000,1000000",
    only: Annotated[str | None, Option(help="Cases to measure, several by comma.")] = None,
    json: Annotated[Path | None, Option(help="Write the figures here, as JSON.")] = None,
    html: Annotated[Path | None, Option(help="Write a page with plots here.")] = None,
) -> None:
    """Measure checkers: operations a second, peak memory, growth with the history."""
    import time
    from itertools import chain

    from dynamesis.checkers.simulate.bench import CASES, exponents, run
    from dynamesis.harness.bench.storm import TESTS
    from dynamesis.harness.usage.values import one_of, writable_files

    writable_files(("--json", json), ("--html", html))
    counts = [_count(part) for part in sizes.split(",")]
    known = (*CASES, *TESTS)
    names = [one_of("--only", part.strip(), known) for part in (only or ",".join(known)).split(",")]
    figures = ("load s", "check s", "CPU s")
    print(
        f"{'case':18}{'ops':>10}{''.join(f'{f:>9}' for f in figures)}{'ops/s':>10}{'MiB':>7}  valid"
    )
    rows = []
    histories = run(counts, time.perf_counter, [name for name in names if name in CASES])
    tests = (TESTS[name](counts, time.perf_counter) for name in names if name in TESTS)
    try:
        for row in chain(histories, chain.from_iterable(tests)):
            rows.append(row)
            print(
                f"{row.case:18}{row.operations:10}{row.load_s:9.2f}{row.check_s:9.2f}"
                f"{row.cpu_s:9.2f}{row.operations_per_s:10}{row.peak_mib:7}  {row.valid}",
                flush=True,
            )
    finally:
        growth = exponents(rows)
        for name, exponent in growth.items():
            print(f"{name:18}grows with the power {exponent}")
        if rows:
            _keep(json, html, [row.to_dict() for row in rows], growth)


def node(
    only: Annotated[
        str | None,
        Option(help="Cases by words of their names, several by comma: put-64-100, get-lmdb."),
    ] = None,
    every: Annotated[bool, Option("--all", help="All cases; more than an hour.")] = False,
    json: Annotated[Path | None, Option(help="Write the figures here, as JSON.")] = None,
) -> None:
    """Measure the node beside a bare mesh of the same frames: CPU an operation, latency, rate."""
    import sys

    from dynamesis.harness.bench.cases import NodeCase, all_cases, chosen, default_cases
    from dynamesis.harness.bench.run import run
    from dynamesis.harness.usage.exits import UsageError
    from dynamesis.harness.usage.values import writable_file

    if json is not None:
        writable_file("--json", json)
    cases: list[NodeCase] = all_cases() if every or only else default_cases()
    try:
        cases = chosen(cases, only.split(",")) if only else cases
    except ValueError as error:
        raise UsageError(f"--only: {error}") from error
    print(_NODE_HEAD)

    rows: list[Row] = []

    def show(row: Row) -> None:
        rows.append(row)
        print(_node_line(row), flush=True)

    try:
        run(cases, show, lambda line: print(line, file=sys.stderr))
    finally:  # what was measured is kept, however the rest ended
        if json is not None and rows:
            _write(json, {"cases": [row.to_dict() for row in rows]})


_NODE_HEAD = (
    f"{'case':36}{'mesh/s':>8}{'node/s':>8}{'p50 ms':>16}{'p99 ms':>16}{'p99.9 ms':>16}"
    f"{'CPU us an op':>16}{'CPU':>7}{'p50':>7}"
)


def _node_line(row: Row) -> str:
    mesh, node = row.mesh, row.node
    times = "".join(
        f"{f'{1e3 * a:.2f} {1e3 * b:.2f}':>16}"
        for a, b in ((mesh.p50, node.p50), (mesh.p99, node.p99), (mesh.p999, node.p999))
    )
    cpu = f"{1e6 * mesh.cpu:.0f} {1e6 * node.cpu:.0f}"
    return (
        f"{row.case.name:36}{mesh.rate:8.0f}{node.rate:8.0f}{times}{cpu:>16}"
        f"{row.cpu_ratio:7.2f}{row.p50_ratio:7.2f}"
    )


def _count(text: str) -> int:
    from dynamesis.harness.usage.exits import UsageError

    if not text.strip().isdigit() or not 100 <= int(text) <= 100_000_000:
        raise UsageError(f"--sizes: {text.strip()!r}; allowed: 100 to 100000000, several by comma")
    return int(text)


def _keep(
    json: Path | None,
    html: Path | None,
    rows: list[dict[str, object]],
    growth: dict[str, float],
) -> None:
    """Write what was measured, however the rest ended."""
    if json is not None:
        _write(json, {"rows": rows, "growth": growth})
    if html is not None:
        from dynamesis.harness.report.bench import bench_page
        from dynamesis.harness.usage.values import write_file

        write_file("--html", html, bench_page(rows, growth))


def _write(path: Path, figures: dict[str, object]) -> None:
    import json

    from dynamesis.harness.usage.values import write_file

    write_file("--json", path, json.dumps(figures, indent=2) + "\n")
