"""`dynamesis bench`: what the parts cost on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from typer import Option


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

    from dynamesis.checkers.simulate.bench import CASES, exponents, run
    from dynamesis.harness.usage.values import one_of, writable_file

    for flag, file in (("--json", json), ("--html", html)):
        if file is not None:
            writable_file(flag, file)
    counts = [_count(part) for part in sizes.split(",")]
    names = [one_of("--only", part.strip(), CASES) for part in (only or ",".join(CASES)).split(",")]
    figures = ("load s", "check s", "CPU s")
    print(
        f"{'case':18}{'ops':>10}{''.join(f'{f:>9}' for f in figures)}{'ops/s':>10}{'MiB':>7}  valid"
    )
    rows = []
    for row in run(counts, time.perf_counter, names):
        rows.append(row)
        print(
            f"{row.case:18}{row.operations:10}{row.load_s:9.2f}{row.check_s:9.2f}"
            f"{row.cpu_s:9.2f}{row.operations_per_s:10}{row.peak_mib:7}  {row.valid}",
            flush=True,
        )
    growth = exponents(rows)
    for name, exponent in growth.items():
        print(f"{name:18}grows with the power {exponent}")
    if json is not None:
        _save(json, [row.to_dict() for row in rows], growth)
    if html is not None:
        from dynamesis.harness.report.bench import bench_page

        html.write_text(bench_page([row.to_dict() for row in rows], growth), encoding="utf-8")


def _count(text: str) -> int:
    from dynamesis.harness.usage.exits import UsageError

    if not text.strip().isdigit() or not 100 <= int(text) <= 100_000_000:
        raise UsageError(f"--sizes: {text.strip()!r}; allowed: 100 to 100000000, several by comma")
    return int(text)


def _save(path: Path, rows: list[dict[str, object]], growth: dict[str, float]) -> None:
    import json

    figures = {"rows": rows, "growth": growth}
    path.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
