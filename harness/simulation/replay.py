"""Plays one schedule again: of a token, of a failure's folder, or near a test on processes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from dynamesis.harness.failures.failure import BESIDE
from dynamesis.harness.report.summary import print_results
from dynamesis.harness.run.progress_view import Mode, console
from dynamesis.harness.simulation.approximate import approximation
from dynamesis.harness.simulation.run_simulation import SIMULATIONS, Asked
from dynamesis.harness.simulation.saved import SIMULATED, save_schedule, story
from dynamesis.harness.simulation.schedules.draw import SwarmScope, draw
from dynamesis.harness.simulation.schedules.text import Written, load
from dynamesis.harness.simulation.schedules.token import decode
from dynamesis.harness.simulation.schedules.word_schedules import PREFIX, schedule_of, word_of
from dynamesis.harness.usage.exits import UsageError, exit_code
from dynamesis.harness.usage.values import results_folder


@dataclass(frozen=True)
class Again:
    """A schedule to be replayed. `missing`: what of the original it cannot have."""

    written: Written
    missing: tuple[str, ...] = ()


def run_replay(source: str, asked: Asked) -> int:
    """Play it, with its story, into a folder of its own; the exit code of the verdict. Raises
    UsageError, EnvironmentFailed."""
    again = find(source, asked.wanted)
    folder = results_folder(asked.store, f"{SIMULATIONS}-replayed").path
    test, results = save_schedule(folder, again.written)
    screen = console(asked.mode)
    if asked.mode is not Mode.QUIET:
        for each in again.missing:
            screen.print(f"not carried over: {each}")
        for line in story(test):
            screen.print(line)
    print_results(screen, results, short=asked.mode is Mode.QUIET)
    screen.print(f"folder  {folder}")
    return exit_code(results["valid"])


def find(source: str, beside: SwarmScope) -> Again:
    """The schedule of a token, of a file, or of the folder of a simulated or of another test.
    Raises UsageError."""
    path = Path(source)
    if path.is_dir() and (path / SIMULATED).is_file():
        path = path / SIMULATED
    if path.is_file():
        return Again(_written(path))
    if path.is_dir():
        return Again(*approximation(path))
    if source.startswith(PREFIX):
        return Again(Written(schedule_of(word_of(source), beside.bug), (), source))
    seed, wanted = decode(source, beside)
    return Again(Written(draw(seed, wanted), (), source))


def _written(path: Path) -> Written:
    try:
        return load(path.read_text(encoding="utf-8"), str(path), BESIDE)
    except (OSError, UnicodeDecodeError) as failure:
        raise UsageError(
            f"--replay: {path} cannot be read ({failure}); name the folder of a failure"
        ) from failure
