"""What has been broken and not yet healed, on disk before it is broken.

The heal phase goes by this file and by nothing else: a fault that was half injected when
something failed is healed like any other.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any


class Ledger:
    """An append-only file of one JSON object a line."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def broken(self, fault: int, family: str, value: dict[str, Any]) -> None:
        """`fault` is about to be injected; on return that is on the disk."""
        self._append({"fault": fault, "family": family, "value": value})

    def healed(self, fault: int) -> None:
        """`fault` has been taken back."""
        self._append({"fault": fault, "healed": True})

    def open(self) -> dict[int, tuple[str, dict[str, Any]]]:
        """The family and value of each fault that was never healed."""
        faults: dict[int, tuple[str, dict[str, Any]]] = {}
        if self._path.exists():
            for line in self._path.read_text(encoding="utf-8").splitlines():
                entry = json.loads(line)
                if entry.get("healed"):
                    faults.pop(entry["fault"], None)
                else:
                    faults[entry["fault"]] = (entry["family"], entry["value"])
        return faults

    def _append(self, entry: dict[str, Any]) -> None:
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(entry) + "\n")
            file.flush()
            os.fsync(file.fileno())
