"""Judges histories one after the other, and prints the verdict of each.

One that cannot be read does not keep the others from being judged, and an anomaly in one
is not hidden by an unknown verdict of another.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from dynamesis.checkers.formats.io import FORMATS, Format
from dynamesis.checkers.graph.run import Run
from dynamesis.checkers.models.models import ModelOptions
from dynamesis.harness.check.evaluate import ModelChoice, judge_history, locate, read, stored_test
from dynamesis.harness.check.export import WRITERS, export, target_of
from dynamesis.harness.report.junit import Judged, junit_of_all
from dynamesis.harness.report.stored_logs import stored_logs
from dynamesis.harness.report.summary import left_out, print_results, word
from dynamesis.harness.results.documents import JsonObject
from dynamesis.harness.text.console import LineConsole
from dynamesis.harness.usage.exits import INVALID, UNKNOWN, USAGE, VALID, UsageError, exit_code
from dynamesis.harness.usage.output import print_json
from dynamesis.harness.usage.values import one_of, writable_files, write_file
from rich.console import Console

#: The word of elle-cli for each verdict.
_ELLE = {"valid": "true", "invalid": "false", "unknown": "unknown"}


#: flags that are not named as the field of ModelOptions
_FLAGS = {"negative_balances": "--allow-negative-balances"}


@dataclass(frozen=True)
class Request:
    """The options of `dynamesis check`, beside the histories."""

    model: ModelChoice | None
    format: Format | None
    verbose: bool
    export: str | None
    junit: Path | None
    json: bool = False
    report: Path | None = None

    @classmethod
    def of(
        cls,
        model: str | None,
        options: ModelOptions,
        fmt: str | None,
        verbose: bool,
        export: str | None,
        junit: Path | None,
        json: bool = False,
        report: Path | None = None,
    ) -> Request:
        """Raises UsageError for what makes no sense."""
        if model is None and options != ModelOptions():
            given = ", ".join(_FLAGS.get(n, f"--{n.replace('_', '-')}") for n in options.given())
            raise UsageError(f"{given}: of a model; give --model too, or leave it out")
        if export is not None:
            one_of("--export", export, WRITERS)
        writable_files(("--junit", junit), ("--report", report))
        chosen = None if model is None else ModelChoice.of("--model", model, options)
        return cls(chosen, _format(fmt), verbose, export, junit, json, report)


def _format(name: str | None) -> Format | None:
    found: dict[str, Format] = {each: each for each in FORMATS}
    return None if name is None else found[one_of("--format", name, found)]


def check_all(paths: Sequence[Path], request: Request) -> int:
    """The worst exit code: invalid, before wrong usage, before unknown, before valid."""
    console = LineConsole()
    lone = len(paths) == 1
    if request.report is not None and not lone:
        raise UsageError("--report: is the page of one history; give one")
    codes: list[int] = []
    judged: list[Judged] = []
    found: list[JsonObject] = []

    def report(path: Path, done: Judged) -> None:
        judged.append(done)
        found.append({"path": str(path), **done[1]})
        codes.append(exit_code(done[1]["valid"]))
        if not request.json:
            _print_one(console, path, done[1], request, lone)

    for path in paths:
        try:
            _check(path, request, partial(report, path))
        except UsageError as wrong:
            if lone:
                raise
            print(f"dynamesis check: {wrong}", file=sys.stderr)
            codes.append(USAGE)
    if request.junit is not None:
        write_file("--junit", request.junit, junit_of_all(judged))
    if request.json:
        print_json(found)
    return _worst(codes)


def _check(path: Path, request: Request, report: Callable[[Judged], None]) -> None:
    """Judge a history, hand its test and its results to `report`, and then export it."""
    folder, file = locate(path)
    test = stored_test(folder) if folder else {}
    if request.export is not None:
        target_of(file, request.export)
    history = read(file, request.format)
    results = judge_history(history, test, request.model)
    named = {"name": str(path), **test}
    report((named, results))
    if request.report is not None:
        from dynamesis.harness.report.page import render  # a tenth of a second, for the page alone

        logs = stored_logs(folder, test) if folder else None
        drawn = render(file, Run(history, test), logs, named, results)
        write_file("--report", request.report, drawn)
    if request.export is not None:
        export(history, file, request.export)


def _print_one(
    console: Console, path: Path, results: Mapping[str, Any], request: Request, lone: bool
) -> None:
    if lone and request.model is None:
        print_results(console, results, figures=request.verbose)
        if locate(path)[0] is None:
            console.print(left_out(results))
        return
    print(f"{path}\t{_ELLE[word(results['valid'])]}", flush=True)
    if request.verbose:
        print_results(console, results)


def _worst(codes: Iterable[int]) -> int:
    seen = set(codes)
    return next((code for code in (INVALID, USAGE, UNKNOWN) if code in seen), VALID)
