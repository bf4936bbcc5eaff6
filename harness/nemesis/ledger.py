"""What has been broken and not yet healed, on disk before it is broken.

The heal phase goes by this file and by nothing else: a fault that was half injected when
something failed is healed like any other.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path

from dynamesis.checkers.history.op import JsonObject
from dynamesis.harness.nemesis.faults import FaultStart, action_from_value


class Ledger:
    """An append-only file of one JSON object a line."""

    def __init__(self, path: Path | None) -> None:
        """None: it is kept in memory, for a harness whose world ends with it."""
        self._path = path
        #: all that it has, where it is in memory
        self.kept: list[JsonObject] = []

    def broken(self, start: FaultStart) -> None:
        """The fault is about to be injected; on return that is on the disk."""
        family, value = start.fault.family, start.as_value()
        self._append({"fault": start.number, "family": family, "value": value})

    def healed(self, number: int) -> None:
        """The fault with this number has been taken back."""
        self._append({"fault": number, "healed": True})

    def open(self) -> dict[int, FaultStart]:
        """The faults that were never healed, by number."""
        faults: dict[int, FaultStart] = {}
        for entry in self._entries():
            if entry.get("healed"):
                faults.pop(entry["fault"], None)
            else:
                action = action_from_value(f"start-{entry['family']}", entry["value"])
                assert isinstance(action, FaultStart)
                faults[entry["fault"]] = action
        return faults

    def _entries(self) -> Iterable[JsonObject]:
        if self._path is None:
            return self.kept
        if not self._path.exists():
            return ()
        return map(json.loads, self._path.read_text(encoding="utf-8").splitlines())

    def _append(self, entry: JsonObject) -> None:
        if self._path is None:
            self.kept.append(entry)
            return
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(entry) + "\n")
            file.flush()
            os.fsync(file.fileno())
