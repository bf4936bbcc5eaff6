"""How a test ends that cannot be run on this machine."""

from __future__ import annotations


class EnvironmentFailed(Exception):
    """The machine lacks something (exit 4). The message names what, what was tried,
    and what to do."""
