"""What an experiment is, and what comes out of one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

#: a row by column; figures as numbers, None where there is no figure
Row = Mapping[str, Any]


@dataclass(frozen=True)
class Curve:
    """A line of the plot, by its points in order of x; `model`: computed, not measured."""

    name: str
    points: Sequence[tuple[float, float]]
    model: bool = False


@dataclass(frozen=True)
class Plot:
    """What is drawn of an experiment. `log`: whether x is on a logarithmic scale."""

    x: str
    y: str
    lines: Sequence[Curve]
    log: bool = False


@dataclass(frozen=True)
class Findings:
    """What came out.

    rows: the table, a mapping by column each
    paper: what the paper reports, in its words and figures
    notes: what a reader must know of how it was measured, and where it differs from the paper
    error: the largest relative distance from the model, where there is one
    """

    rows: Sequence[Row]
    paper: str
    plot: Plot
    notes: Sequence[str] = ()
    error: float | None = None
    figures: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Scale:
    """How much an experiment does. `effort`: 1 as in the documentation, less for a quick look."""

    seed: int = 1
    effort: float = 1.0

    def of(self, count: int, least: int = 1) -> int:
        """`count` at this effort."""
        return max(least, round(count * self.effort))


Say = Callable[[str], None]


@dataclass(frozen=True)
class Experiment:
    """One of the table harness.experiments.table. `about`: what is compared, on one line;
    `run(scale, say)` does it, and reports how far it is by say()."""

    name: str
    about: str
    section: str
    run: Callable[[Scale, Say], Findings]

    def to_dict(self, scale: Scale, found: Findings) -> dict[str, Any]:
        """As `--json` writes it."""
        return {
            "experiment": self.name,
            "section": self.section,
            "seed": scale.seed,
            "effort": scale.effort,
            "paper": found.paper,
            "rows": [dict(row) for row in found.rows],
            "error": found.error,
            "figures": dict(found.figures),
            "notes": list(found.notes),
        }


def relative(measured: float, model: float) -> float:
    """How far a figure is from its model, as a share of the model; absolute where that is 0."""
    return abs(measured - model) / model if model else abs(measured)


def rank(ordered: Sequence[float], share: float) -> float:
    """The value below which this share of sorted values lies."""
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
