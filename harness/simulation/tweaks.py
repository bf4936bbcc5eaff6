"""What of the simulated world itself is drawn: its Tweaks, as plain data."""

from __future__ import annotations

from dynamesis.checkers.history.op import JsonObject
from dynamesis.harness.simulation.dice import Dice


def draw_tweaks(dice: Dice) -> JsonObject:
    """Fields that are not the default."""
    return {}
