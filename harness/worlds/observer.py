"""What the caller of `run_test` may follow while a test runs."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

from dynamesis.checkers.history.op import Op
from dynamesis.harness.report.summary import print_results
from dynamesis.harness.results.results import TEST, Folder
from dynamesis.harness.run.node_states import NodeStates
from dynamesis.harness.run.progress import ProgressCounts
from dynamesis.harness.run.progress_view import Mode, TestView, console, is_live, view


class Observer:
    """Ignores everything; a subclass overrides what it shows."""

    def started(self, folder: Path, seed: int) -> None:
        """The folder is there, and nothing else has happened."""

    def running(self) -> AbstractContextManager[object]:
        """Entered before boot, left after stop."""
        return nullcontext()

    def event(self, op: Op) -> None:
        """One event of the history, as it is written down."""

    def performed(self, counts: Mapping[str, int], now: int) -> None:
        """So many operations of the load, by type, were completed by drivers since the last call;
        `now`: ns since the test began. Their events come with no call of `event`."""

    def message(self, text: str) -> None:
        """A line for the user, such as that no Toxiproxy was found."""

    def judging(self) -> AbstractContextManager[object]:
        """Entered after the test, left when its results are written."""
        return nullcontext()

    def judged(self, results: Mapping[str, Any]) -> None:
        """The verdict, as in results.json."""

    def ended(self, folder: Path, command: str | None) -> None:
        """The last call. `command` runs the test again; None if it failed after the verdict."""

    def aborted(self, folder: Path, command: str) -> None:
        """Stopped by a second interrupt, not judged; `command` judges what there is."""


class ConsoleObserver(Observer):
    """Shows a test on the terminal: live there, plain lines elsewhere or by `mode`; quietly, only
    the verdict and the folder."""

    def __init__(self, mode: Mode = Mode.AUTO) -> None:
        self._mode = mode
        self._console = console(mode)
        self._view: TestView = view(self._console, ProgressCounts(), mode)

    def started(self, folder: Path, seed: int) -> None:
        test = Folder(folder).peek_json(TEST)
        nodes = NodeStates(tuple(test.get("nodes") or ()))
        tally = ProgressCounts(limit=test.get("time_limit"), nodes=nodes)
        self._view = view(self._console, tally, self._mode)
        self.message(f"seed {seed}, results in {folder}")

    def running(self) -> AbstractContextManager[object]:
        return self._view

    def event(self, op: Op) -> None:
        self._view.observe(op)

    def performed(self, counts: Mapping[str, int], now: int) -> None:
        self._view.performed(counts, now)

    def message(self, text: str) -> None:
        if self._mode is not Mode.QUIET:
            self._console.print(text)

    def judging(self) -> AbstractContextManager[object]:
        if not is_live(self._console, self._mode):
            return nullcontext()
        return self._console.status("judging, and writing the report")

    def judged(self, results: Mapping[str, Any]) -> None:
        print_results(self._console, results, short=self._mode is Mode.QUIET)

    def ended(self, folder: Path, command: str | None) -> None:
        self._console.print(f"folder  {folder}")
        if command is not None:
            self.message(f"again   {command}")

    def aborted(self, folder: Path, command: str) -> None:
        self._console.print(f"stopped immediately; judge what there is with: {command}")
