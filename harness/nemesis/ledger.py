"""What has been broken and not yet healed, on disk before it is broken.

The heal phase goes by this file and by nothing else: a fault that was half injected when
something failed is healed like any other.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

from dynamesis.harness.nemesis.faults import FaultStart, action_from_value


class Ledger:
    """An append-only file of one JSON object a line."""

    def __init__(self, path: Path) -> None:
        self._path = path

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
        if self._path.exists():
            for line in self._path.read_text(encoding="utf-8").splitlines():
                entry = json.loads(line)
                if entry.get("healed"):
                    faults.pop(entry["fault"], None)
                else:
                    action = action_from_value(f"start-{entry['family']}", entry["value"])
                    assert isinstance(action, FaultStart)
                    faults[entry["fault"]] = action
        return faults

    def _append(self, entry: Mapping[str, object]) -> None:
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(entry) + "\n")
            file.flush()
            os.fsync(file.fileno())
