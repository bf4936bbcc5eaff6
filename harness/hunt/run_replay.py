"""`dynamesis replay`: do the failures in a folder still fail?

It changes no file of a failure: CI replays what a team has under git.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from dynamesis.harness.campaign.run_campaign import interrupting
from dynamesis.harness.failures.folder import FailureFolder, chosen
from dynamesis.harness.hunt.checked import checked
from dynamesis.harness.hunt.replay import Replayed, replay
from dynamesis.harness.hunt.run_hunt import CODES, worlds
from dynamesis.harness.hunt.trials import ERROR, INVALID, UNKNOWN, VALID
from dynamesis.harness.results.documents import JsonObject
from dynamesis.harness.run.progress_view import Mode
from dynamesis.harness.run.progress_view import console as console_of
from dynamesis.harness.usage.output import print_json
from dynamesis.harness.usage.values import results_folder
from rich.text import Text

REPLAYS = "replays"
_STYLES = {INVALID: "bold red", VALID: "bold green", ERROR: "bold magenta"}


def run_replay(
    paths: Sequence[Path], store: Path, jobs: int, times: int, update: bool, json: bool, mode: Mode
) -> int:
    """1 while one of them fails, 4 for an error, 3 where one is unknown, 0 when all pass. Raises
    UsageError, which names file and line, EnvironmentFailed."""
    files = chosen(list(paths))
    failures = [checked(file) for file in files]
    console = console_of(Mode.QUIET if json else mode)
    done: list[Replayed] = []
    if failures:
        folder = results_folder(store / REPLAYS, "replay")
        with worlds(folder, jobs, in_memory=False) as (known, runs):

            def interrupt() -> None:
                runs.interrupted = True
                for world in known.values():
                    world.stop()

            with interrupting(interrupt):
                for file, failure in zip(files, failures, strict=True):
                    if runs.interrupted:
                        break
                    done.append(replay(runs, known, failure, times))
                    if not json:
                        console.print(Text(str(done[-1]), _STYLES.get(done[-1].verdict, "default")))
                    if update and done[-1].rate.runs:
                        FailureFolder(file.parent).rated(failure, done[-1].rate)
    result = _summary(files, done)
    if json:
        print_json(result)
    elif not files:
        console.print("valid: there is nothing to replay")
    else:
        passed = sum(each.verdict == VALID for each in done)
        console.print(f"{result['verdict']}: {passed} of {len(files)} pass")
        console.print(f"folder  {folder.path}")
    return CODES[str(result["verdict"])]


def _summary(files: Sequence[Path], done: Sequence[Replayed]) -> JsonObject:
    """What --json prints. One that was not reached is unknown."""
    verdicts = {each.verdict for each in done} | ({UNKNOWN} if len(done) < len(files) else set())
    worst = next((each for each in (INVALID, ERROR, UNKNOWN) if each in verdicts), VALID)
    rows = [{"file": str(f), **each.to_dict()} for f, each in zip(files, done, strict=False)]
    return {"verdict": worst, "failures": rows}
