"""Plays all small schedules, and counts them.

The results are those of any run of many schedules (harness.simulation.results), and:

    {"sequences": before any two were merged, "words": after, "sampled": how many of them were
     to be played, where not all were, or had been played when the time was over}

A failure is not shrunk: a word is small as it is. Of the failures of each anomaly the shortest
word is kept.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from dynamesis.checkers.history.op import JsonObject
from dynamesis.checkers.verdict import Verdict
from dynamesis.harness.report.words import counted
from dynamesis.harness.run.progress_view import Mode, console
from dynamesis.harness.simulation.asked import SimulateFlags, asked
from dynamesis.harness.simulation.play import Played, play
from dynamesis.harness.simulation.results import SHOWN, Tally
from dynamesis.harness.simulation.run_simulation import SIMULATIONS, Asked
from dynamesis.harness.simulation.saved import save_schedule
from dynamesis.harness.simulation.schedules.text import Written
from dynamesis.harness.simulation.schedules.word_schedules import schedule_of, token
from dynamesis.harness.simulation.schedules.words import Bounds, Word, is_request, sequences, words
from dynamesis.harness.simulation.swarm import spread
from dynamesis.harness.simulation.view import SwarmView
from dynamesis.harness.usage.exits import UsageError
from dynamesis.harness.usage.values import results_folder, write_files
from rich.console import Console

#: Where no number is given: all.
ALL = 1_000_000_000
#: what is played
SMALL = Bounds()


@dataclass
class Exhaustion:
    """What came of the words so far. `shortest`: by anomaly, the shortest word that shows it, and
    all the anomalies of that word; `unclear`: the words that are unknown, in the order of the
    tally."""

    bounds: Bounds
    words: int = 0
    sampled: int | None = None
    tally: Tally = field(default_factory=Tally)
    shortest: dict[str, tuple[Word, tuple[str, ...]]] = field(default_factory=dict)
    unclear: list[Word] = field(default_factory=list)

    def add(self, word: Word, played: Played) -> None:
        """Count one more."""
        self.tally.add(1, played)
        if played.verdict is Verdict.UNKNOWN:
            self.unclear.append(word)
        if played.verdict is not Verdict.INVALID:
            return
        for name in played.anomalies:
            known = self.shortest.get(name)
            if known is None or (len(word), word) < (len(known[0]), known[0]):
                self.shortest[name] = word, tuple(played.anomalies)

    @property
    def failures(self) -> dict[Word, tuple[str, ...]]:
        """The words that are shown, each with its anomalies."""
        return dict(sorted(self.shortest.values(), key=lambda found: (len(found[0]), found[0])))

    def to_dict(self, folders: dict[Word, Path]) -> JsonObject:
        """As in the file. `folders`: of the failures that the store took."""
        sampled = {} if self.sampled is None else {"sampled": self.sampled}
        failures = [
            {
                "seed": 1,
                "token": token(word),
                "anomalies": list(anomalies),
                "operations": sum(map(is_request, word)),
                "faults": sum(not is_request(letter) and letter[0] != "m" for letter in word),
                "folder": str(folders[word]) if word in folders else None,
            }
            for word, anomalies in self.failures.items()
        ]
        counts = {"sequences": sequences(self.bounds), "words": self.words, **sampled}
        return {**self.tally.to_dict(()), **counts, "failures": failures}

    def to_text(self, folders: dict[Word, Path]) -> str:
        """The file."""
        return json.dumps(self.to_dict(folders), indent=2) + "\n"


def play_word(word: Word, bug: tuple[str, ...] = ()) -> tuple[Word, Played]:
    """Runs and judges the test of a word."""
    return word, play(schedule_of(word, bug))


def exhaust(
    bounds: Bounds,
    work: Callable[[Word], tuple[Word, Played]],
    jobs: int = 1,
    most: int = ALL,
    go_on: Callable[[], bool] = lambda: True,
    show: Callable[[], None] = lambda: None,
    found: Exhaustion | None = None,
    every: Sequence[Word] | None = None,
) -> Exhaustion:
    """Play every word within `bounds`, or `most` of them, evenly spread, in `jobs` processes,
    while `go_on`. `work` plays one; `show` is called after each, `found` counted into; `every`:
    the words, where they are listed already."""
    found = Exhaustion(bounds) if found is None else found
    every = list(words(bounds)) if every is None else every
    chosen = sample(every, most)
    found.words = len(every)
    found.sampled = len(chosen) if len(chosen) < len(every) else None
    began = time.monotonic()
    for word, played in spread(work, iter(chosen), jobs, go_on, gaps=True):
        found.add(word, played)
        found.tally.seconds = time.monotonic() - began
        show()
    if found.tally.schedules < len(chosen):  # its time was over
        found.sampled = found.tally.schedules
    return found


def sample(every: Sequence[Word], most: int) -> list[Word]:
    """At most so many words, evenly spread."""
    if len(every) <= most:
        return list(every)
    return [every[at * len(every) // most] for at in range(most)]


def run_exhaust(given: SimulateFlags, bounds: Bounds = SMALL) -> int:
    """All small schedules, with folders and results; the exit code as of a swarm. Raises
    UsageError, EnvironmentFailed."""
    wanted = _asked(given)
    folder = results_folder(wanted.store, f"{SIMULATIONS}-exhaustive").path
    screen, found = console(wanted.mode), Exhaustion(bounds)
    with found.tally.until_stopped(token):
        _play(wanted, bounds, found, screen)
    folders: dict[Word, Path] = {}
    try:
        with found.tally.until_stopped(token):
            for word, path in _save(folder, found, wanted.wanted.bug):
                folders[word] = path
        (folder / "simulation.json").write_text(found.to_text(folders), encoding="utf-8")
    except OSError as failure:
        found.tally.not_kept(failure)
    lines = list(summary(found, folders))
    for line in lines[-1:] if wanted.mode is Mode.QUIET else lines:
        screen.print(line, markup=False, highlight=False, soft_wrap=True)
    write_files(("--json", wanted.json, found.to_text(folders)))
    if found.tally.broke is not None:
        raise found.tally.broke
    return found.tally.exit_code


def _play(wanted: Asked, bounds: Bounds, found: Exhaustion, screen: Console) -> None:
    """Raises KeyboardInterrupt where a user ends it, be it while the words are listed."""
    work = partial(play_word, bug=wanted.wanted.bug)
    every = list(words(bounds))
    most = min(len(every), ALL if wanted.schedules is None else wanted.schedules)
    began = time.monotonic()  # to list the words takes seconds that do not count

    def go_on() -> bool:
        return wanted.seconds is None or time.monotonic() - began < wanted.seconds

    with SwarmView(screen, found.tally, most, wanted.mode, wanted.seconds) as view:
        exhaust(bounds, work, wanted.jobs, most, go_on, view.show, found, every)


def _asked(given: SimulateFlags) -> Asked:
    """Raises UsageError for flags of a swarm that do not go with all schedules there are."""
    for name in ("seed", "workload", "nemesis", "pytest"):
        if getattr(given, name) is not None:
            raise UsageError(
                f"--{name}: does not go with --exhaust, which plays all words; leave it out"
            )
    if given.schedules is None and given.time is None:
        given = replace(given, schedules=ALL)
    return asked(replace(given, seed=1))


def _save(folder: Path, found: Exhaustion, bug: tuple[str, ...]) -> Iterator[tuple[Word, Path]]:
    """A folder for each of the failures that are shown."""
    for number, (word, anomalies) in enumerate(found.failures.items()):
        path = folder / f"{number + 1}-{anomalies[0]}"
        save_schedule(path, Written(schedule_of(word, bug), anomalies, token(word)))
        yield word, path


def summary(found: Exhaustion, folders: dict[Word, Path]) -> Iterator[str]:
    """What came of it, the verdict last, and what keeps it from being valid."""
    tally = found.tally
    reached = sum(1 for count in tally.situations.values() if count)
    yield (
        f"{sequences(found.bounds):,} sequences of at most "
        f"{counted(found.bounds.faults, 'fault')} and {counted(found.bounds.requests, 'request')}, "
        f"{found.words:,} after merging; {tally.schedules:,} played, {tally.per_minute} a minute"
    )
    yield f"{reached} of {counted(len(tally.situations), 'situation')} reached"
    for word, anomalies in found.failures.items():
        yield f"{token(word)}  {', '.join(anomalies)}  {folders.get(word, '')}"
    for word, (_, reason) in list(zip(found.unclear, tally.unknown, strict=True))[:SHOWN]:
        yield f"unknown: {token(word)}: {reason}"
    if len(tally.unknown) > SHOWN:
        yield f"  and {len(tally.unknown) - SHOWN} more unknown"
    for each in tally.unfinished:
        yield f"unfinished: {each}"
    counts = ", ".join(f"{tally.verdicts[each]} {each.value}" for each in Verdict)
    yield counts
    if tally.lacking and not tally.verdicts[Verdict.INVALID]:
        yield f"unknown: {tally.lacking}"
