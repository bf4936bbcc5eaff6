"""How a test ended: what `run_test` and the pytest fixture return."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from dynamesis.checkers.verdict import JsonVerdict, Unknown, Verdict, no_truth_value
from dynamesis.harness.results.documents import JsonObject
from dynamesis.harness.usage.exits import exit_code


@dataclass(frozen=True)
class TestResult:
    """The verdict of a test and where it is. `results` is results.json, `folder` holds all
    that the test left, `output` what a process of its own printed (empty if there was none). It
    has no truth value itself; compare its `verdict`."""

    __test__: ClassVar[bool] = False

    folder: Path
    results: JsonObject = field(repr=False)
    output: str = field(default="", repr=False)

    @classmethod
    def load(cls, folder: Path, output: str = "") -> TestResult:
        """The result in the folder of a test that has ended."""
        text = (folder / "results.json").read_bytes()
        return cls(folder, json.loads(text, object_hook=_asserted), output)

    @property
    def verdict(self) -> Verdict:
        """VALID only where the evidence was there to say otherwise."""
        return Verdict.of_json(self.results["valid"])

    @property
    def valid(self) -> JsonVerdict:
        """The verdict as results.json spells it. An unknown one equals "unknown" and cannot be
        asserted, nor can its negation: `bool` raises NoTruthValue."""
        return self.verdict.json

    @property
    def exit_code(self) -> int:
        """0 valid, 1 invalid, 3 unknown."""
        return exit_code(self.results["valid"])

    @property
    def anomalies(self) -> dict[str, int]:
        """How often each anomaly was found."""
        found: dict[str, int] = self.results["anomalies"]
        return found

    def explain(self) -> str:
        """The verdict, each anomaly with its first proof, or why nothing is known; and the
        folder with everything else."""
        from dynamesis.harness.report.summary import lines

        shown = [" " * indent + text for indent, _, text in lines(self.results)]
        return "\n".join([*shown, f"folder  {self.folder}"])

    def __bool__(self) -> bool:
        no_truth_value(self)


def _asserted(decoded: JsonObject) -> Mapping[str, Any]:
    """An object of results.json, with a `valid` that is unknown as what has no truth value."""
    if decoded.get("valid") == "unknown":
        decoded["valid"] = Unknown.UNKNOWN
    return decoded
